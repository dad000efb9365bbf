locals {
  list = ["a", "b"]
  a    = concat([local.list, ["c"]]...)
  b    = max([1, 5, 3]...)
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
