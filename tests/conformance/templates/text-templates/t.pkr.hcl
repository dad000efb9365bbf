locals {
  n      = 5
  list   = ["a", "b"]
  lone   = "${local.list}"
  number = "${local.n}"
  text   = "n is ${local.n}"
  nested = "a${"b${"c"}"}"
  cond   = "${local.n > 3 ? "big" : "small"}"
  dollar = "$5 $${x} $$ %"
  quotes = "${join(",", [for s in local.list : "\"${s}\""])}"
  unicode = "\u00e9\U0001F600é"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
