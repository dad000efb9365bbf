source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "file" {
    sources = ["run.sh"]
    destination = "/x/"
  }
}
