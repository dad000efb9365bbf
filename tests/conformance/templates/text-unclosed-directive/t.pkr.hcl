locals {
  a = "%{ if true }x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
