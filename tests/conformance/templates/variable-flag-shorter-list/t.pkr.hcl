variable "l" {
  default = ["x", "y"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
