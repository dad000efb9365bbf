source "docker" "d" {
  image  = "debian"
  commit = true
}
build {
  sources = ["docker.d"]
  provisioner "breakpoint" {
    note = "x"
    disable = true
  }
}
