source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell-local" {
    command = "a"
  }
}
