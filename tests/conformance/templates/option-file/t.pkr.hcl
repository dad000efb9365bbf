source "file" "f" {
  content = "x"
  target  = "out.txt"
}
build {
  sources = ["file.f"]
}
