variable "x" {
  type    = list
  default = ["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
