source "docker" "d" {
  image       = "debian"
  commit      = true
  export_path = "x.tar"
}
build {
  sources = ["docker.d"]
}
