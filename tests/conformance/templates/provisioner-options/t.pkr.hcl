variable "names" {
  default = ["null.n"]
}
source "null" "n" {
  communicator = "none"
}
build {
  name    = "b"
  sources = ["null.n"]
  provisioner "shell-local" {
    only         = var.names
    pause_before = "1s"
    max_retries  = 2
    timeout      = "5m30s"
    inline       = ["true"]
  }
  provisioner "shell-local" {
    except            = ["null.${build.name}"]
    max_retries       = "3"
    continue_on_error = true
    inline            = ["true"]
  }
}
