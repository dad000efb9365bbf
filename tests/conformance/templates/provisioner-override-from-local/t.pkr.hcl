locals {
  overrides = { n = { inline = ["echo n"] } }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    override = local.overrides
  }
}
