variable "a" {
  default = "x"
  validation {
    condition     = var.a == local.b
    error_message = "They must be equal."
  }
}
locals {
  b = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
