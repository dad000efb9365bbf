variable "a" {
  type      = number
  default   = 123456
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
