source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "artifice" {
    keep_input_artifact = true
  }
}
