source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    only   = ["null.*"]
    inline = ["true"]
  }
}
