variable "x" {
  type    = object({ a = optional(string, upper("a")) })
  default = {}
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
