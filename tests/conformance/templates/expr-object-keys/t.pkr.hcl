locals {
  k = "key"
  a = { (local.k) = 1, "${local.k}2" = 2, local = 3, 5 = "five" }
  b = { "a" = 1, a = 2 }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
