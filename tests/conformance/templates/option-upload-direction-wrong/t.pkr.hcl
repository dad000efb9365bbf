source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "file" {
    source = "run.sh"
    destination = "/x"
    direction = "sideways"
  }
}
