locals {
  a = "%{ while true }x%{ endwhile }"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
