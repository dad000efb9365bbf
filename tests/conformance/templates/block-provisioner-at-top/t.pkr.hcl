provisioner "shell-local" {
  inline = ["true"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
