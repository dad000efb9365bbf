source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = var.nope
    labels   = ["shell-local"]
    content {
      inline = ["true"]
    }
  }
}
