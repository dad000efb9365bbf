source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "compress" {
    output = "x.tar.gz"
    format = "rar"
  }
}
