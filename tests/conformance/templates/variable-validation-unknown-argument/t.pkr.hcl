variable "a" {
  default = "x"
  validation {
    condition     = var.a == "x"
    error_mesage  = "It must be x."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
