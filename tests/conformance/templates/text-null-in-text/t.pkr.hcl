locals {
  a = "x${null}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
