variable "words" {
  default = ["echo other"]
}
source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  sources = ["null.n", "null.m"]
  provisioner "shell-local" {
    inline = ["true"]
    override = {
      n = {
        inline = ["echo n"]
      }
      m = {
        inline = var.words
      }
      nobody = {
        inline = ["echo nobody"]
      }
    }
  }
}
