variable "a-b" {
  default = "x"
}
locals {
  c-d = var.a-b
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
