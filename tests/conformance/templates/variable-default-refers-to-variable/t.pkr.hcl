variable "a" {
  default = "a"
}
variable "b" {
  default = var.a
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
