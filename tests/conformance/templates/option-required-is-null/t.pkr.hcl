source "file" "f" {
  content = "x"
  target  = null
}
build {
  sources = ["file.f"]
}
