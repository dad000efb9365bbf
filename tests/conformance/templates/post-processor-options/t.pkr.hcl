source "file" "f" {
  content = "x"
  target  = "x"
}
build {
  sources = ["file.f"]
  post-processor "checksum" {
    name                = "sum"
    only                = ["file.f"]
    keep_input_artifact = true
    checksum_types      = ["md5"]
    output              = "sum-{{.BuildName}}"
  }
  post-processor "manifest" {
    except              = ["file.f"]
    keep_input_artifact = "false"
  }
}
