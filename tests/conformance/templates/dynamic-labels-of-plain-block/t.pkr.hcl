source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "post-processors" {
    for_each = ["a"]
    labels   = ["x"]
    content {
      post-processor "manifest" {
        output = post-processors.value
      }
    }
  }
}
