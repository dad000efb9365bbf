source "docker" "d" {
  commit = true
  build {
    path = "Dockerfile"
  }
}
build {
  source "docker.d" {
    build {
      path = "Dockerfile"
    }
  }
}
