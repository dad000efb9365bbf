variable "a" {
  default   = "supersecret"
  sensitive = "true"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
