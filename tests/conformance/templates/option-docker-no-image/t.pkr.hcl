source "docker" "d" {
  commit = true
}
build {
  sources = ["docker.d"]
}
