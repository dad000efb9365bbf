variable "v" {
  default = "v"
}
source "null" "n" {
  communicator = "none"
}
build {
  name        = "build-${var.v}"
  description = "What ${var.v} is."
  sources     = ["null.n"]
}
