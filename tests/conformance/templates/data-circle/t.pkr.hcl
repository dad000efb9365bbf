data "null" "a" {
  input = data.null.b.output
}
data "null" "b" {
  input = data.null.a.output
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
