packer {
  required_plugins {
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
