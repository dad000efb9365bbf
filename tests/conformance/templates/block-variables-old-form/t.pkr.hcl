variables {
  a = "one"
  b = "two"
  c = [1, 2]
}
locals {
  d = "${var.a} ${var.b}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
