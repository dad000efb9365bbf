source "null" "n" {
  dynamic "communicator" {
    for_each = ["none"]
    content {
    }
  }
}
build {
  sources = ["null.n"]
}
