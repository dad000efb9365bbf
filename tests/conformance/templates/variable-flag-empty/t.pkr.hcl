variable "s" {
  default = "x"
}
variable "t" {
  default = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
