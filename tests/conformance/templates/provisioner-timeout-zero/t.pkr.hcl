source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    timeout = 0
    inline  = ["true"]
  }
}
