source "null" "n" {
  comunicator = "none"
}
build {
  sources = ["null.n"]
}
