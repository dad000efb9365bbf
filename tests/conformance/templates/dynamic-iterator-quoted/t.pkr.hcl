source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = ["a"]
    iterator = "each"
    labels   = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
