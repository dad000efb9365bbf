variable "s" {
  type    = set(string)
  default = ["b", "a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = var.s
    labels   = ["shell-local"]
    content {
      name   = "${provisioner.key}-${provisioner.value}"
      inline = ["true"]
    }
  }
}
