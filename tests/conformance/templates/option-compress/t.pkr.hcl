source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "compress" {
    output = "{{.BuildName}}.tar.gz"
    compression_level = 3
  }
}
