source "null" "dev" {
  communicator = "none"
}
source "null" "prod" {
  communicator = "none"
}
build {
  sources = ["null.dev", "null.prod"]
  dynamic "provisioner" {
    for_each = source.name == "dev" ? ["x"] : []
    labels   = ["shell-local"]
    content {
      inline = ["echo ${provisioner.value}"]
    }
  }
}
