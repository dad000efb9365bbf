locals {
  a = "x${upper(
    "b"
  )}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
