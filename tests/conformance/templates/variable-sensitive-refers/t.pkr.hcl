variable "a" {
  default   = "supersecret"
  sensitive = var.b
}
variable "b" {
  default = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
