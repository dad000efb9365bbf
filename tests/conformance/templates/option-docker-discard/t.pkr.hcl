source "docker" "d" {
  image   = "debian"
  discard = true
}
build {
  sources = ["docker.d"]
}
