locals {
  a = "x${local.b"
  b = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
