source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = []
    labels   = ["no-such-thing"]
    content {
      inline = ["true"]
    }
  }
}
