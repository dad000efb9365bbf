source "null" "n" "m" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
