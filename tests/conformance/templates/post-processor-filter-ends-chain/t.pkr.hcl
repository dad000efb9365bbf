source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processors {
    post-processor "manifest" {
      name = "first"
    }
    post-processor "manifest" {
      ouput = "x"
    }
  }
}
