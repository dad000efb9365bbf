source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = [source.name, "x"]
    labels   = ["shell-local"]
    content {
      inline = ["echo ${provisioner.value}"]
    }
  }
}
