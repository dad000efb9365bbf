variable "kind" {
  default   = "shell-local"
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = [var.kind]
    labels   = [provisioner.value]
    content {
      inline = ["true"]
    }
  }
}
