locals {
  a = <<EOT
 EOTX
EOT x
  EOT
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
