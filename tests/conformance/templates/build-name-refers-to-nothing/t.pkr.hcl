source "null" "n" {
  communicator = "none"
}
build {
  name    = var.nope
  sources = ["null.n"]
}
