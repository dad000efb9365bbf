source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisoner "shell-local" {
    inline = ["true"]
  }
}
