variable "region" {
  default = "x"
}
locals {
  a = var.regoin
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
