source "null" "n" {
  communicator = "none"
}
source "null" "wrong" {
  comunicator = "none"
}
build {
  sources = ["null.n", "null.wrong"]
}
