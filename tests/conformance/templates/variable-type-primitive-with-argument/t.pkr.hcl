variable "x" {
  type    = string(1)
  default = "a"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
