source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    inline = ["echo ${build.ImageSha256}"]
  }
}
