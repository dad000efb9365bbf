local "1a" {
  expression = 1
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
