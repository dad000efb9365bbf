variable "a" {
  description = "What it is."
  default     = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
