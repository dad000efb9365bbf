locals {
  a = path.rot
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
