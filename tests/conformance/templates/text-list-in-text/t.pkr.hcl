locals {
  list = ["a"]
  a    = "x${local.list}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
