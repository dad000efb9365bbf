locals {
  v     = "V"
  plain = <<EOT
  one ${local.v}
two
EOT
  stripped = <<-EOT
      one
        two ${local.v}
      three
  EOT
  empty = <<EOT
EOT
  escaped = <<EOT
$${a} %%{b} \n "q"
EOT
  directive = <<-EOT
  %{ for s in ["a", "b"] ~}
  item ${s}
  %{ endfor ~}
  end
  EOT
  condition = <<-EOT
  %{ if local.v == "V" ~}
  yes
  %{ else ~}
  no
  %{ endif ~}
  EOT
  in_call = upper(<<-EOT
    x
  EOT
  )
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
