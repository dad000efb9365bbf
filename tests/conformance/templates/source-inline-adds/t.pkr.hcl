source "null" "n" {
}
build {
  source "null.n" {
    communicator = "none"
  }
}
