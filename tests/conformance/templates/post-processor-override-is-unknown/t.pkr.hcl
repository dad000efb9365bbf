source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "manifest" {
    override = { n = { output = "x" } }
  }
}
