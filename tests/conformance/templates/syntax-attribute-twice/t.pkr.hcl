source "null" "n" {
  communicator = "none"
  communicator = "none"
}
build {
  sources = ["null.n"]
}
