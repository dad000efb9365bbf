locals {
  list = ["a", "b"]
  a    = local.list[2]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
