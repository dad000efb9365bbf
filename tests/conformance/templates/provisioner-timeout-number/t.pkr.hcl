source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    timeout = 5
    inline  = ["true"]
  }
}
