source "null" "n" {
  communicator = "none"
  ssh_hots     = "x"
}
build {
  sources = ["null.n"]
}
