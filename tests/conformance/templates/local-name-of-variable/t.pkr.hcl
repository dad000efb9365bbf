variable "a" {
  default = 1
}
locals {
  a = var.a + 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
