locals {
  map = { name = 1 }
  a   = local.map["nmae"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
