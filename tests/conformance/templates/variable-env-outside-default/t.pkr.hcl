locals {
  a = env("HOME")
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
