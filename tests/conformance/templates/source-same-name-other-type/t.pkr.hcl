source "null" "n" {
  communicator = "none"
}
source "file" "n" {
  content = "x"
  target  = "x"
}
build {
  sources = ["null.n", "file.n"]
}
