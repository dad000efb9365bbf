# Builds on what the channel `production` of ../base points at. `ingot registry ancestry` shows what
# was built from what, and what is out of date since the channel moved.

data "hcp-packer-artifact" "base" {
  bucket_name  = "example-base"
  channel_name = "production"
  platform     = "packer.file"
  region       = "."
}

hcp_packer_registry {
  bucket_name = "example-app"
}

source "file" "app" {
  source = data.hcp-packer-artifact.base.external_identifier
  target = "app.txt"
}

build {
  sources = ["source.file.app"]
}
