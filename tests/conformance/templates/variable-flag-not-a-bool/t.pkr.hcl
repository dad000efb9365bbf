variable "b" {
  type = bool
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
