data "nul" "d" {
  input = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
