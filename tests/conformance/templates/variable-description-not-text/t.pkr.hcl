variable "a" {
  description = ["x"]
  default     = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
