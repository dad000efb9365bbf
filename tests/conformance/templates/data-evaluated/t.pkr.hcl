data "null" "d" {
  input = "x"
}
locals {
  a = data.null.d.output
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
