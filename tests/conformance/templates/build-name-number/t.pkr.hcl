source "null" "n" {
  communicator = "none"
}
build {
  name    = 5
  sources = ["null.n"]
}
