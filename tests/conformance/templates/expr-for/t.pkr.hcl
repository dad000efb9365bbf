locals {
  list    = [for s in ["a", "b", "c"] : upper(s) if s != "b"]
  index   = [for i, s in ["a", "b"] : "${i}${s}"]
  object  = { for s in ["a", "b"] : s => upper(s) }
  grouped = { for s in ["ab", "ac", "b"] : substr(s, 0, 1) => s... }
  of_map  = [for k, v in { b = 1, a = 2 } : "${k}${v}"]
  nested  = [for a in ["x"] : [for b in ["y"] : "${a}${b}"]]
  empty   = [for a in [] : a]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
