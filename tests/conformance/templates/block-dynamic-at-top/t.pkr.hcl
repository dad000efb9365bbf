dynamic "source" {
  for_each = ["a"]
  labels   = ["null", source.value]
  content {
    communicator = "none"
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
