source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline   = ["true"]
    override = { n = { inline = { a = 1 } } }
  }
}
