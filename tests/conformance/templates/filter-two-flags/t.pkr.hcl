source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
source "null" "wrong" {
  comunicator = "none"
}
build {
  sources = ["null.n", "null.m", "null.wrong"]
}
