locals {
  a = "x"
  b = local["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
