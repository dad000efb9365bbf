variable "s" {
  type    = string
  default = 5
}
variable "n" {
  type    = number
  default = "5.50"
}
variable "b" {
  type    = bool
  default = "true"
}
variable "l" {
  type    = list(string)
  default = ["a", 1, true]
}
variable "set" {
  type    = set(string)
  default = ["b", "a", "b"]
}
variable "m" {
  type    = map(number)
  default = { x = "1", y = 2 }
}
variable "o" {
  type    = object({ a = string, b = list(number) })
  default = { a = 1, b = ["2"], c = "dropped" }
}
variable "t" {
  type    = tuple([string, number])
  default = [1, "2"]
}
variable "any" {
  type    = any
  default = { a = [1, "b", null] }
}
variable "la" {
  type    = list(any)
  default = [1, "b"]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
