source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    foreach = ["a"]
    labels  = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
