locals {
  a = var.nope
  b = local.a
  c = upper(1, 2)
  d = 1 / 0
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
