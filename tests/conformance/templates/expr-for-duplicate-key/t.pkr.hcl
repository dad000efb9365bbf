locals {
  a = { for s in ["a", "a"] : s => 1 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
