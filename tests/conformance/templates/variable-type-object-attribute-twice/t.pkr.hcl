variable "x" {
  type    = object({ a = string, a = number })
  default = { a = 1 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
