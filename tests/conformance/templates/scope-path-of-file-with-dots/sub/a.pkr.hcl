locals {
  root = path.root
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
