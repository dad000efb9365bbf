variable "target" {
  default = "x"
}
source "file" "f" {
  content = "a"
}
build {
  source "file.f" {
    target = "out-${var.target}-${source.name}"
  }
}
