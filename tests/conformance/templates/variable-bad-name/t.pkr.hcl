variable "1a" {
  default = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
