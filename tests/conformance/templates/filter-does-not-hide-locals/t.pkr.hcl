locals {
  a = var.nope
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
