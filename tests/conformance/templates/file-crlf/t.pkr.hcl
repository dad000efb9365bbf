locals {
  text = <<EOT
one
two
EOT
  dash = <<-EOT
    a
      b
  EOT
  plain = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
