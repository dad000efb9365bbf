packer {
  required_plugins {
    nowhere = {
      version = ">= 1.0.0"
      source  = "github.com/example/nowhere"
    }
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
