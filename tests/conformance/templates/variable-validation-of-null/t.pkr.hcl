variable "a" {
  type    = string
  default = null
  validation {
    condition     = var.a == null
    error_message = "It must be null."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
