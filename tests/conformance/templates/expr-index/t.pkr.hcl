locals {
  list = ["a", "b"]
  map  = { a = 1, "b c" = 2 }
  a    = local.list[0]
  b    = local.map["b c"]
  c    = local.map.a
  d    = local.list["1"]
  e    = local.list.0
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
