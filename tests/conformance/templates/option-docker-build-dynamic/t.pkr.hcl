source "docker" "d" {
  commit = true
  dynamic "build" {
    for_each = ["Dockerfile"]
    content {
      path = build.value
    }
  }
}
build {
  sources = ["docker.d"]
}
