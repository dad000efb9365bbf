locals {
  a = 1
}
local "a" {
  expression = 2
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
