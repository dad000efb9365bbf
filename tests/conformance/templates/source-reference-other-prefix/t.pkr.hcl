source "null" "n" {
  communicator = "none"
}
build {
  sources = ["sauce.null.n"]
}
