source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "checksum" {
    checksum_types = ["md5", "sha512"]
    output = "{{.BuildName}}_{{.ChecksumType}}"
  }
}
