locals {
  a = "x"
  b = data.null.d.output
}
data "null" "d" {
  input = local.a
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
