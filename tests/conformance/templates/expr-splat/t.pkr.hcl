locals {
  list = [{ n = "a", l = [{ m = 1 }] }, { n = "b", l = [{ m = 2 }] }]
  full = local.list[*].n
  attr = local.list.*.n
  deep = local.list[*].l[0].m
  lone = { n = "x" }[*].n
  null = null[*]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
