variable "x" {
  type    = list(string, number)
  default = ["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
