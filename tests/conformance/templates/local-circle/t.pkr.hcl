locals {
  a = local.b
  b = local.c
  c = local.a
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
