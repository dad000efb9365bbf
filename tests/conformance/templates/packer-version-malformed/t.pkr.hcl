packer {
  required_version = "newest"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
