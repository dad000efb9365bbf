locals {
  a = "${var.v}-a"
}
