variable "a" {
  default   = "supersecret"
  sensitive = "perhaps"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
