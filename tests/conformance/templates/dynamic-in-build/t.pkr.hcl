variable "lines" {
  default = { a = "one", b = "two" }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  dynamic "provisioner" {
    for_each = var.lines
    labels   = ["shell-local"]
    content {
      inline = ["echo ${provisioner.key} ${provisioner.value}"]
    }
  }
  dynamic "post-processor" {
    for_each = ["x", "y"]
    iterator = each
    labels   = ["manifest"]
    content {
      name   = "m-${each.value}"
      output = "${each.key}.json"
    }
  }
}
