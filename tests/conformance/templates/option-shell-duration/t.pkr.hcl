source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    inline = ["a"]
    start_retry_timeout = "5m"
    pause_after = "1s"
  }
}
