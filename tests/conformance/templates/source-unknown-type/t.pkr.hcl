source "nul" "n" {
  communicator = "none"
}
build {
  sources = ["nul.n"]
}
