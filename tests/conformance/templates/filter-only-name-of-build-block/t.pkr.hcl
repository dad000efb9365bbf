source "null" "n" {
  communicator = "none"
}
build {
  name    = "alin"
  sources = ["null.n"]
}
