source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  name    = "same"
  sources = ["null.n"]
}
build {
  name    = "same"
  sources = ["null.m"]
}
