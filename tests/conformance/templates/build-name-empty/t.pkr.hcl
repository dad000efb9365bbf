source "null" "n" {
  communicator = "none"
}
build {
  name    = ""
  sources = ["null.n"]
}
