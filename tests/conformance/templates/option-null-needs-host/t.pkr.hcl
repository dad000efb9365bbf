source "null" "n" {
}
build {
  sources = ["null.n"]
}
