variable "a" {
  default = "x"
  validation {
    condition = var.a == "x"
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
