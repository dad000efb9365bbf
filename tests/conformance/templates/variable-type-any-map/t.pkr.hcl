variable "v" {
  type    = map(any)
  default = { a = 1, b = "x" }
}
variable "w" {
  type    = list(any)
  default = [{ a = 1 }, { a = "x" }]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
