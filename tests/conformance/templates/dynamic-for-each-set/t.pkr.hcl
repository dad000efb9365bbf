source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = toset(["b", "a"])
    labels   = ["shell-local"]
    content {
      name   = "${provisioner.key}-${provisioner.value}"
      inline = ["true"]
    }
  }
}
