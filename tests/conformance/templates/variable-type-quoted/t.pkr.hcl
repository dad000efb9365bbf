variable "x" {
  type    = "string"
  default = "a"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
