variable "l" {
  type = list(string)
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
