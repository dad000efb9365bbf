variable "a" {
  type      = string
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
