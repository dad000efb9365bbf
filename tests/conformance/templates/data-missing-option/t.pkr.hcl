data "null" "d" {
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
