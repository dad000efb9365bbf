source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisoner" {
    for_each = ["a"]
    labels   = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
