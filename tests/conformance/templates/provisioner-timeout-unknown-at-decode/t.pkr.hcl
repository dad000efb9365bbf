source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    timeout = "${source.name}s"
    inline  = ["true"]
  }
}
