source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic {
    for_each = ["a"]
    content {
    }
  }
}
