variable "v" {}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
