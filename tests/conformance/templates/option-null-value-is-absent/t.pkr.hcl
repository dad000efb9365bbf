source "file" "f" {
  content = "x"
  source  = null
  target  = "out.txt"
}
build {
  sources = ["file.f"]
}
