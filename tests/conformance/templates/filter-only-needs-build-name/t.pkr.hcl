source "null" "wrong" {
  comunicator = "none"
}
build {
  name    = "first"
  sources = ["null.wrong"]
}
