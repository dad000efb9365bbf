locals {
  a = true ? ["a"] : "b"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
