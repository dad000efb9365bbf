source "file" "f" {
  content = "${source.type}.${source.name}"
  target  = "out-${source.name}"
}
build {
  sources = ["file.f"]
}
