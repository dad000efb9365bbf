locals {
  a = count.index
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
