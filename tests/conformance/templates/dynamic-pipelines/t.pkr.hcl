source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "post-processors" {
    for_each = ["a", "b"]
    content {
      post-processor "manifest" {
        output = "${post-processors.value}.json"
      }
      dynamic "post-processor" {
        for_each = [1, 2]
        labels   = ["manifest"]
        content {
          output = "${post-processors.value}-${post-processor.value}.json"
        }
      }
    }
  }
}
