locals {
  a = var.nope
}
source "null" "n" {
  comunicator = "none"
}
build {
  sources = ["null.n", "null.missing"]
}
