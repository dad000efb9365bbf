variable "zeta" {
  default = "z"
}
variable "Alpha" {
  default = "a"
}
locals {
  text = "a \"quoted\" \\ back\nnew\tline é ☃ \u0007"
  list = ["a", 1, true, null, ["x"], { y = "z" }]
  map  = { "k k" = "v", a = { b = [] }, e = {} }
  one  = 1
  half = 0.5
  yes  = true
  lines = "first\n\nthird"
  nested = ["first\n\nthird"]
}
source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  name        = "first"
  description = "Says what."
  sources     = ["null.n", "null.m"]
  provisioner "shell-local" {
    inline = ["true"]
  }
  provisioner "shell-local" {
    name   = "named"
    inline = ["true"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["true"]
  }
  post-processor "manifest" {
  }
  post-processors {
    post-processor "checksum" {
      name           = "sum"
      checksum_types = ["md5"]
    }
    post-processor "manifest" {
    }
  }
}
build {
  source "null.n" {
    name = "renamed"
  }
}
