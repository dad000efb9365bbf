variable "a" {
  type = string
}
locals {
  b = upper(var.a)
  c = "${local.b}${var.nope}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
