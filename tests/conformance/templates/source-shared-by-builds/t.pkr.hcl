source "null" "n" {
  communicator = "none"
}
build {
  name    = "one"
  sources = ["null.n"]
}
build {
  name    = "two"
  sources = ["source.null.n"]
}
