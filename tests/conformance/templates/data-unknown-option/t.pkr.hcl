data "null" "d" {
  inptu = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
