source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    labels = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
