source "file" "f" {
  content = "a"
  target  = "out.txt"
}
build {
  source "file.f" {
    content = "b"
  }
}
