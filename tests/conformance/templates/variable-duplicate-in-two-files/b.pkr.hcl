variable "a" {
  default = 2
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
