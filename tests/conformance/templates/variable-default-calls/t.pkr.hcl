variable "b" {
  default = upper("b")
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
