locals {
  a = [for local in ["x"] : local]
  b = [for var in [{ c = 1 }] : var.c]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
