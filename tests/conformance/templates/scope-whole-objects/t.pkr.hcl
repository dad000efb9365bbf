variable "a" {
  default = 1
}
locals {
  b = var
  c = path.root
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
