locals {
  list = ["a", "b"]
  a    = local.list[-1]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
