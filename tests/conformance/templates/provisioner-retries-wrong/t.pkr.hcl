source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    max_retries = "many"
    inline      = ["true"]
  }
}
