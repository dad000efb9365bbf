locals {
  nmae = "x"
  a    = local.name
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
