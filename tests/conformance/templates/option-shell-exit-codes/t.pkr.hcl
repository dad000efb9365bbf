source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    inline = ["a"]
    valid_exit_codes = [0, "2"]
  }
}
