source "null" "n" {
  communicator = "none"
}
build {
  name    = ["x"]
  sources = ["null.n"]
}
