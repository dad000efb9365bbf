source "null" "wrong" {
  comunicator = "none"
}
build {
  sources = ["null.wrong"]
}
