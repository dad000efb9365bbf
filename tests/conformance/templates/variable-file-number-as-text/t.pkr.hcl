variable "n" {
  type = number
}
variable "s" {
  type = string
}
variable "untyped" {}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
