variable "x" {
  type    = 5
  default = "a"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
