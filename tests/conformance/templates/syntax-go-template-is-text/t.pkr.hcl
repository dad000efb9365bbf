locals {
  a = "{{ user `x` }} {{timestamp}}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
