variable "a" {
  default = "x"
  validation {
    condition     = var.a == "x" ? null : true
    error_message = "It is null."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
