variable "l" {
  type    = list(string)
  default = ["x"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
