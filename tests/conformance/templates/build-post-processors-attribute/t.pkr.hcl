source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processors {
    name = "x"
    post-processor "manifest" {}
  }
}
