source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n", "null.m"]
  provisioner "shell-local" {
    inline = ["echo ${var.a} ${local.b}"]
  }
}
