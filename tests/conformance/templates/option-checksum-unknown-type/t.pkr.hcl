source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "checksum" {
    checksum_types = ["md6"]
  }
}
