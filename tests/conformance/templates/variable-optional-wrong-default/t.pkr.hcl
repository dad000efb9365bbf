variable "x" {
  type    = object({ a = optional(number, "many") })
  default = {}
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
