source "null" "n" {
  communicator = "none"
}
source "null" "wrong" {
  comunicator = "none"
}
build {
  name    = "first"
  sources = ["null.n"]
}
build {
  sources = ["null.wrong"]
}
