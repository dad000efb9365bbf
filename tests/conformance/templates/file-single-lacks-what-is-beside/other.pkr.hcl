variable "a" {
  default = "x"
}
locals {
  b = "y"
}
source "null" "m" {
  communicator = "none"
}
