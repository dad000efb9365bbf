variable "m" {
  type    = map(string)
  default = { b = "2", a = "1" }
}
locals {
  keys   = keys(var.m)
  values = values(var.m)
  merged = merge(var.m, { c = "3" })
  look   = lookup(var.m, "z", "none")
  split  = split(",", "a,b")
  format = format("%s-%03d", "x", 7)
  json   = jsonencode({ a = [1, "x", null] })
  decode = jsondecode("{\"a\":[1,true]}")
  regex  = regex_replace("a-b", "-", "+")
  set    = setunion(["b"], ["a"])
  flat   = flatten([["a"], ["b", ["c"]]])
  try    = try(local.nothing.x, "fallback")
  coal   = coalesce("", "x")
  nothing = {}
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
