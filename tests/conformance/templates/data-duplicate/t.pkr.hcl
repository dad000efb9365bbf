data "null" "d" {
  input = "x"
}
data "null" "d" {
  input = "y"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
