source "null" "n" {
  communicator = "none"
}
build "x" {
  sources = ["null.n"]
}
