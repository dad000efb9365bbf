locals {
  a = "$HOME $(x) $5 $$HOME 100%"
  b = <<EOT
$HOME ${"$"}{x} $${y} %{~ if true ~} x %{~ endif ~}
EOT
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
