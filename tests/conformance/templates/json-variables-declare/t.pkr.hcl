variable "a" {
  default = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
