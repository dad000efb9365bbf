locals {
  a = { x = 1, y = 2 }
  b = {
    x : 1
    y = 2,
    "z w" = 3
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
