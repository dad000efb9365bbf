source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processors {
    provisioner "shell-local" {
      inline = ["true"]
    }
  }
}
