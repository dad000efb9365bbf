variable "a" {
  default = 1
  validations {
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
