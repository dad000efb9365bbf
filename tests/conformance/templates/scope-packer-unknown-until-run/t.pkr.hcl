locals {
  a = packer.iterationID
  b = "v-${packer.versionFingerprint}"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
