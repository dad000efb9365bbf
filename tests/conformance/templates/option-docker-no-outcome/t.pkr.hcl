source "docker" "d" {
  image = "debian"
}
build {
  sources = ["docker.d"]
}
