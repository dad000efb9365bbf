locals {
  a = null ? 1 : 2
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
