locals {
  root = path.root
  cwd  = path.cwd
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
