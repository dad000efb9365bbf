variable "a" {
  default = "x"
}
locals {
  b = var["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
