variable "a" {
  default   = "supersecret"
  sensitive = true
}
variable "list" {
  type      = list(string)
  default   = ["firstsecret", "othersecret"]
  sensitive = true
}
variable "mentions" {
  default = "has supersecret in it"
}
locals {
  copy = var.a
  part = "x-${var.a}"
}
local "own" {
  expression = "localsecret"
  sensitive  = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
