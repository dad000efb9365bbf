locals {
  a = word
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
