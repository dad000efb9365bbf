source "file" "f" {
  target = "out.txt"
}
build {
  sources = ["file.f"]
}
