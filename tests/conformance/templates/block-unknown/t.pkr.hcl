buidl {
  sources = ["null.n"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
