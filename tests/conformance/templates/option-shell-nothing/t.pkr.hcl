source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    pause_before = "1s"
  }
}
