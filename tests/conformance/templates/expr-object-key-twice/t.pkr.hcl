locals {
  a = { a = 1, a = 2 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
