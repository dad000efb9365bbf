locals {
  a = <<-EOT
    one

      two
  EOT
  b = <<-EOT
	tab
	  more
	EOT
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
