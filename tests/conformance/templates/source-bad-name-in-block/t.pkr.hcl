source "null" "n n" {
  communicator = "none"
}
build {
  source "null.n n" {}
}
