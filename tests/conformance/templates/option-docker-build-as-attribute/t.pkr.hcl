source "docker" "d" {
  commit = true
  build = {
    path = "Dockerfile"
  }
}
build {
  sources = ["docker.d"]
}
