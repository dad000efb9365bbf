source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline = ["echo ${FOO}", "echo ${HOME}/x"]
  }
}
