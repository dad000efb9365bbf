variable "v" {
  type    = map(any)
  default = { a = 1, b = ["x"] }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
