variable "x" {
  type    = list(object({ size = number }))
  default = [{ size = 1 }, { size = "big" }]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
