variable "a" {
  default   = ""
  sensitive = true
}
variable "b" {
  type      = string
  default   = null
  sensitive = true
}
variable "c" {
  default   = []
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
