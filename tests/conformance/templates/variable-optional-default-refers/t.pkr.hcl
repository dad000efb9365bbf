variable "x" {
  type    = object({ a = optional(string, var.y) })
  default = {}
}
variable "y" {
  default = "y"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
