source "file" "f" {
  source  = "a"
  content = "x"
  target  = "out.txt"
}
build {
  sources = ["file.f"]
}
