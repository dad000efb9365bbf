source "docker" "d" {
}
build {
  sources = ["docker.d"]
}
