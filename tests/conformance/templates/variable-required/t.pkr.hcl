variable "a" {
  type = string
}
variable "b" {
  type = list(string)
}
locals {
  c = "${var.a}!"
  d = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
