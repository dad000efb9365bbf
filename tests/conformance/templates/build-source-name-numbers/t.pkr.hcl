source "null" "n1-x_y" {
  communicator = "none"
}
build {
  name    = "with space/and.dots"
  sources = ["source.null.n1-x_y"]
}
