locals {
  a = build.ID
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
