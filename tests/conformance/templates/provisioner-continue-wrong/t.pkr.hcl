source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    continue_on_error = "sometimes"
    inline            = ["true"]
  }
}
