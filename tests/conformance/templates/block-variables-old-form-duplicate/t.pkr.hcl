variables {
  a = "one"
}
variable "a" {
  default = "two"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
