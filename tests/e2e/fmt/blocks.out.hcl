# a template with its indentation gone
packer {
  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = ">= 1"
    }
  }
}


variable "zone" {
  type        = string
  description = "where" # trailing
  default     = "eu"    // another
  sensitive   = false
}
source null one { communicator = "none" }
source "null" "two" {}
source "null" "three" {}
build {
  sources = ["null.one", "null.two", ]

  provisioner "shell" {
    inline = [
      "echo a",  # first
      "echo bb", # second
    ]
    environment_vars = ["A=1", "B=2"]
  }
}
