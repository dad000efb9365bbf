source "file" "f" {
  content = 5
  target  = "out.txt"
}
build {
  sources = ["file.f"]
}
