source "docker" "d" {
  image   = "debian"
  comitt  = true
}
build {
  sources = ["docker.d"]
}
