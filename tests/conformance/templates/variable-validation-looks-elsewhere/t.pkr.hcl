variable "a" {
  default = "x"
  validation {
    condition     = var.a == var.b
    error_message = "They must be equal."
  }
}
variable "b" {
  default = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
