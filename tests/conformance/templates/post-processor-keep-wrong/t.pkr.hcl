source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "manifest" {
    keep_input_artifact = "perhaps"
  }
}
