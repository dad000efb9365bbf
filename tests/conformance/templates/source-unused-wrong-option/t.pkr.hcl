source "null" "unused" {
  comunicator = "none"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
