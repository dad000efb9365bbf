source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "manifest" {
    only   = ["null.n"]
    except = ["null.n"]
  }
}
