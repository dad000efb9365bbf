build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline = ["echo ${local.a}"]
  }
}
