locals {
  a = 1
}
locals {
  b = local.a + 1
}
local "c" {
  expression = local.b + 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
