variable "v" {
  type    = number
  default = "many"
}
variable "w" {
  tpye = string
}
locals {
  a = var.nope
  b = "${var.v}"
}
source "null" "n" {
  comunicator = "none"
}
source "file" "f" {
  target = local.a
}
build {
  sources = ["null.n", "file.f", "null.gone"]
  provisioner "shel-local" {
    inline = ["true"]
  }
  provisioner "shell-local" {
    inline = ["echo ${local.a} ${var.v}"]
    tiemout = "5m"
  }
  post-processor "manifst" {
  }
}
