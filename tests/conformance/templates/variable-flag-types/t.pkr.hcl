variable "s" {
  type = string
}
variable "n" {
  type = number
}
variable "b" {
  type = bool
}
variable "l" {
  type = list(string)
}
variable "m" {
  type = map(string)
}
variable "o" {
  type = object({ n = number })
}
variable "any" {
  type = any
}
variable "untyped" {}
variable "number" {
  default = 1
}
variable "tuple" {
  default = ["a"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
