source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  error-cleanup-provisioner "shell-local" {
    inlin = ["true"]
  }
}
