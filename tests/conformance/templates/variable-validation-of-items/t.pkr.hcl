variable "a" {
  type    = list(string)
  default = ["x1", "x2"]
  validation {
    condition     = alltrue([for s in var.a : startswith(s, "x")])
    error_message = "All must start with x."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
