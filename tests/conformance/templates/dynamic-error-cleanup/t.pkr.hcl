source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "error-cleanup-provisioner" {
    for_each = ["a"]
    labels   = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
