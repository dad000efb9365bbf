source "null" "n" {
  communicator = "none"
}
build {
  hcp_packer_registry {
    bucket_name = "x"
  }
  sources = ["null.n"]
}
