source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  dynamic "source" {
    for_each = ["n", "m"]
    labels   = ["null.${source.value}"]
    content {
      name = "made-${source.value}"
    }
  }
}
