variable "a" {
  default = "x"
  validation {
    condition     = var.a
    error_message = "Not a bool."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
