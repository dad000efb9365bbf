source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    inline = ["a", 1, true]
  }
}
