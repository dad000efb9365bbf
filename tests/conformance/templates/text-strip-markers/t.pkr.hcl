locals {
  a = "a ${~ "b" ~} c"
  b = "a ${~ "b" } c"
  c = "%{ if true ~}  x  %{~ endif }"
  d = "%{ for i, s in ["x", "y"] }${i}=${s};%{ endfor }"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
