locals {
  a = <<EOT
cat <<EOF
EOF
# "unbalanced
EOT
  b = [<<X
X
    , "x"]
  c = "it's # not // a /* comment"
  d = 1 # it's "unbalanced
  /* " */
  e = 2
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
