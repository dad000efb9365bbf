source "null" "n" {
  communicator = "telepathy"
}
build {
  sources = ["null.n"]
}
