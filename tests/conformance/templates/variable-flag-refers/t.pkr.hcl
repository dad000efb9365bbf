variable "l" {
  type = list(string)
}
variable "b" {
  default = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
