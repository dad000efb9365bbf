locals {
  a = length(5)
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
