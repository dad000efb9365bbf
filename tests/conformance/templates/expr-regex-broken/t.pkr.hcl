locals {
  a = regex("(", "x")
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
