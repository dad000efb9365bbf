source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = ["a"]
    iterator = it
    labels   = ["shell-local"]
    content {
      inline = [provisioner.value]
    }
  }
}
