variable "a" {
  default   = "hunter2222"
  sensitive = true
  validation {
    condition     = length(var.a) > 50
    error_message = "Too short."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
