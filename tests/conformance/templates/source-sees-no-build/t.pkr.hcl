source "file" "f" {
  content = build.ID
  target  = "out"
}
build {
  sources = ["file.f"]
}
