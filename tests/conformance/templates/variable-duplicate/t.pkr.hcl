variable "a" {
  default = 1
}
variable "a" {
  default = 2
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
