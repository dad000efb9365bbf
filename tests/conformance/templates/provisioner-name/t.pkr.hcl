source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    name   = "${build.name}x"
    inline = ["true"]
  }
}
