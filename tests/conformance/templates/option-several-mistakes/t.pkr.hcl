source "file" "f" {
  contnet = "x"
  target  = ["a"]
}
build {
  sources = ["file.f"]
  provisioner "shell-local" {
    inline  = { a = 1 }
    timeout = "soon"
    nothing = 1
  }
}
