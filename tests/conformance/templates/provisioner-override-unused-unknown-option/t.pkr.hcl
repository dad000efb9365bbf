source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline   = ["true"]
    override = { other = { inlin = ["echo"] } }
  }
}
