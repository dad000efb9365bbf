variable "a" {
  default = "x"
  validation {
    condition     = true
    error_message = "Cannot happen."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
