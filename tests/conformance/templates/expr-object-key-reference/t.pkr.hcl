locals {
  k = "key"
  a = { local.k = 1 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
