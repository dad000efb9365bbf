local "a" {
  value = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
