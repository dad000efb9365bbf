source "docker" "d" {
  image  = "debian"
  commit = true
  volumes {
    "/a" = "/b"
  }
}
build {
  sources = ["docker.d"]
}
