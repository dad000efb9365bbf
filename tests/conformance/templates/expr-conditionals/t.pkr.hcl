locals {
  a = true ? "x" : "y"
  b = 1 > 2 ? 1 : "two"
  c = false ? null : "x"
  d = true ? ["a"] : ["b", "c"]
  e = true ? { a = 1 } : { a = 2 }
  f = "true" ? 1 : 0
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
