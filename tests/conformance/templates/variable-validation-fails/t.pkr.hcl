variable "a" {
  default = "x"
  validation {
    condition     = length(var.a) > 4
    error_message = "The id must be long."
  }
  validation {
    condition     = var.a == "y"
    error_message = "The id must be y."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
