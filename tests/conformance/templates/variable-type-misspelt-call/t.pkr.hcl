variable "x" {
  type    = lst(string)
  default = ["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
