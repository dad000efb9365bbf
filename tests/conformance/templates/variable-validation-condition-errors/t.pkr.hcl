variable "a" {
  default = "x"
  validation {
    condition     = var.a > 1
    error_message = "It must be more."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
