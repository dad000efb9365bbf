# A Docker image from a base image, with a file in it and a tag on it.
#
# The base is what `base.sh` imports from Debian's busybox-static, so that nothing has to be
# pulled. With a registry at hand, set -var base=debian:12 -var pull=true instead.

packer {
  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = ">= 1.0"
    }
  }
}

variable "base" {
  type    = string
  default = "ingot-example-base:1"
}

variable "pull" {
  type    = bool
  default = false
}

variable "who" {
  type    = string
  default = "world"
}

source "docker" "hello" {
  image   = var.base
  pull    = var.pull
  commit  = true
  changes = ["CMD [\"cat\", \"/etc/hello\"]"]
}

build {
  sources = ["source.docker.hello"]

  provisioner "shell" {
    inline = ["echo 'hello, ${var.who}' > /etc/hello"]
  }

  post-processor "docker-tag" {
    repository = "ingot-hello"
    tags       = ["latest"]
  }
}
