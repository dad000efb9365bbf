packer {
  required_version = var.v
}
variable "v" {
  default = ">= 1.0.0"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
