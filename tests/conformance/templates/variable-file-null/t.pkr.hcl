variable "a" {
  default = "x"
}
variable "l" {
  type    = list(string)
  default = []
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
