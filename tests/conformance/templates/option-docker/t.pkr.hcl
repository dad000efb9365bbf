source "docker" "d" {
  image  = "debian"
  commit = true
  changes = ["ENV A=b"]
  volumes = { "/tmp/a" = "/b" }
}
build {
  sources = ["docker.d"]
  provisioner "shell" {
    inline = ["true"]
  }
  post-processors {
    post-processor "docker-tag" {
      repository = "x"
      tags       = ["a"]
    }
    post-processor "docker-push" {}
  }
}
