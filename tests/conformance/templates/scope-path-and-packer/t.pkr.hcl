locals {
  root = path.root
  cwd  = path.cwd
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline = ["echo ${path.root} ${path.cwd} ${packer.version}"]
  }
}
