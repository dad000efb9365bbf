variable "untyped" {
  default = null
}
variable "typed" {
  type    = string
  default = null
}
variable "number" {
  type    = number
  default = null
}
variable "list" {
  type    = list(string)
  default = null
}
locals {
  a = var.typed == null ? "is null" : "is not"
  b = var.untyped == null
  c = [var.typed, null]
  d = { x = null, y = 1 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
