locals {
  l1  = "x"
  l2  = local.l1
  l3  = local.l2
  l4  = local.l3
  l5  = local.l4
  l6  = local.l5
  l7  = local.l6
  l8  = local.l7
  l9  = local.l8
  l10 = local.l9
  l11 = local.l10
  l12 = local.l11
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
