source "nul" "n" {
  whatever = nope
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
