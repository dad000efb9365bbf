locals {
  list = [{ n = "a" }]
  a    = local.list[*].m
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
