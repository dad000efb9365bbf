variable "l" {
  type = list(string)
}
variable "s" {
  type = string
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
