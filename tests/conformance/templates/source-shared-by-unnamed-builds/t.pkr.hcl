source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
build {
  sources = ["null.n"]
}
