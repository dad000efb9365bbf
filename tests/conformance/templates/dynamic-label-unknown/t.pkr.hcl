source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = ["x"]
    labels   = [source.name]
    content {
      inline = ["echo ${provisioner.value}"]
    }
  }
}
