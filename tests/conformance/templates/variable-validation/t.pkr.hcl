variable "a" {
  default = "ami-1"
  validation {
    condition     = length(var.a) > 4 && substr(var.a, 0, 4) == "ami-"
    error_message = "The id must start with ami-."
  }
  validation {
    condition     = can(regex("^ami-[0-9]$", var.a))
    error_message = "The id must be short!"
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
