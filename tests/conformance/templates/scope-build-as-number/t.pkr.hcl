source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    max_retries = 1
    valid_exit_codes = [build.Port]
    inline = ["true"]
  }
}
