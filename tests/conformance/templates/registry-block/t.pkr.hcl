source "null" "n" {
  communicator = "none"
}
build {
  hcp_packer_registry {
    bucket_name = "images"
  }
  sources = ["null.n"]
}
