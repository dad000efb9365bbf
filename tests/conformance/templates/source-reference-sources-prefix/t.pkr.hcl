source "null" "n" {
  communicator = "none"
}
build {
  sources = ["sources.null.n"]
}
