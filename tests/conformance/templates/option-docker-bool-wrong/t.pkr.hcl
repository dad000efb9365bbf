source "docker" "d" {
  image  = "debian"
  commit = "yes"
}
build {
  sources = ["docker.d"]
}
