variable "a" {
  default   = "supersecret"
  sensitive = true
}
locals {
  upper  = upper(var.a)
  length = length(var.a)
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
