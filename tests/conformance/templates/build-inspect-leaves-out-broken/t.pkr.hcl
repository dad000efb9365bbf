source "null" "n" {
  communicator = "none"
}
build {
  name    = "broken"
  sources = []
}
build {
  sources = ["null.n"]
}
