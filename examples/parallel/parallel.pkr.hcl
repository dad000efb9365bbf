# Two builds at once, post-processed: needs no Docker and no network.

locals {
  names = ["one", "two"]
}

source "file" "list" {
  content = join("\n", [for name in local.names : upper(name)])
  target  = "build/list.txt"
}

source "null" "local" {
  communicator = "none"
}

build {
  name    = "demo"
  sources = ["source.file.list", "source.null.local"]

  provisioner "shell-local" {
    only   = ["null.local"]
    inline = ["echo working here, beside ${source.name}"]
  }

  post-processor "checksum" {
    only           = ["file.list"]
    checksum_types = ["sha256"]
    output         = "build/{{.ChecksumType}}.txt"
  }
}
