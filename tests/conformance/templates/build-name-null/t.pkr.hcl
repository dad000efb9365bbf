source "null" "n" {
  communicator = "none"
}
build {
  name    = null
  sources = ["null.n"]
}
