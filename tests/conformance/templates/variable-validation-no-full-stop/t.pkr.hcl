variable "a" {
  default = "x"
  validation {
    condition     = var.a == "x"
    error_message = "It must be x"
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
