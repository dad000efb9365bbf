locals {
  c = "${local.b}c"
  b = "${local.a}b"
  a = var.v
}
variable "v" {
  default = "a"
}
local "d" {
  expression = [local.c, local.a]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
