locals {
  a = <<EOT
x
    EOT
  b = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
