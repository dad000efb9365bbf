locals {
  text = "x"
  a    = local.text.length
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
