variable "x" {
  type    = tuple([string, number])
  default = ["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
