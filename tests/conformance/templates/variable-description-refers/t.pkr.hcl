variable "a" {
  description = "see ${var.b}"
  default     = 1
}
variable "b" {
  default = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
