variable "a" {
  type      = list(string)
  default   = "hunter2222"
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
