source "null" "n" {
  communicator = "none"
}
source "nul" "m" {
}
build {
  sources = ["null.n", "nul.m"]
}
