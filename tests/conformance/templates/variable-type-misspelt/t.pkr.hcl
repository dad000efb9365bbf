variable "x" {
  type    = strng
  default = "a"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
