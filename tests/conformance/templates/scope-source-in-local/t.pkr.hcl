locals {
  a = source.name
  b = "x-${source.type}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
