variable "which" {
  default = ["n", "m"]
}
locals {
  sources = [for s in var.which : "null.${s}"]
}
source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  sources = local.sources
}
build {
  name    = "second"
  sources = ["null.${var.which[0]}"]
}
