variable "x" {
  type    = list(optional(string))
  default = []
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
