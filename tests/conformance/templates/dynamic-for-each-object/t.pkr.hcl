source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = { b = { run = ["true"] }, a = { run = ["false"] } }
    iterator = it
    labels   = ["shell-local"]
    content {
      name   = it.key
      inline = it.value.run
    }
  }
}
