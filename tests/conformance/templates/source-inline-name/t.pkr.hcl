source "null" "n" {
  communicator = "none"
}
build {
  source "source.null.n" {
    name = "other"
  }
  source "null.n" {
    name = "third"
  }
  provisioner "shell-local" {
    only   = ["null.other"]
    inline = ["echo ${source.name} ${source.type}"]
  }
}
