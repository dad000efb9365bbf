# Publishes a file to a registry on this machine; needs no Docker and no network:
#
#   export INGOT_REGISTRY=local
#   ingot build examples/registry/base
#   ingot registry channels create example-base production -assign=v1
#
# Another build makes v2; `ingot registry channels assign example-base production v2` promotes it.

hcp_packer_registry {
  bucket_name   = "example-base"
  description   = "What examples/registry/app builds on"
  bucket_labels = { example = "yes" }
}

source "file" "base" {
  content = "version ${packer.versionFingerprint}\n"
  target  = "base.txt"
}

build {
  sources = ["source.file.base"]
}
