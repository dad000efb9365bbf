locals {
  a = 1 + 2 * 3 - 4 / 2 % 3
  b = (1 + 2) * 3
  c = !(true && false) || false
  d = 1 == 1 && "a" != "b" && 2 >= 2
  e = -(5)
  f = "1" + 1
  g = 7 % 3
  h = 1 == "1"
  i = [1] == [1]
  j = 10 / 4
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
