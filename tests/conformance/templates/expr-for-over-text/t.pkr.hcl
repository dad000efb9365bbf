locals {
  a = [for s in "abc" : s]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
