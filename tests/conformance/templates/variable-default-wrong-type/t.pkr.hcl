variable "x" {
  type    = number
  default = "many"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
