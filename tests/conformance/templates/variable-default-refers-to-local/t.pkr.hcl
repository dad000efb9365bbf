variable "b" {
  default = local.a
}
locals {
  a = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
