source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = split(",", packer.iterationID)
    labels   = ["shell-local"]
    content {
      inline = ["echo ${provisioner.value}"]
    }
  }
}
