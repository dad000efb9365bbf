variable "o" {
  type    = map(map(list(string)))
  default = { n = { inline = ["x"] } }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  provisioner "shell-local" {
    inline   = ["true"]
    override = var.o
  }
}
