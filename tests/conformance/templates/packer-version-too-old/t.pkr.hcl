packer {
  required_version = ">= 99.0.0"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
