locals {
  a  = <<EOT
  kept   as=it   is   ${f(x)}
# no comment
EOT
  bb = <<-EOT
      ${~x~} %{if y}   z   %{endif}
    EOT
  c = [<<A
x
A
    , <<B
y
B
  ]
  d = "  spaces   =  kept  " # but=not here
  e = "a#b//c/*d*/"
  f = { a = <<A
x
A
  }
  g = "$${a}   %%{b}   ${
    x
  }"
}
