variable "a" {
  type = string
}
variable "b" {
  type = list(string)
}
variable "c" {
  type = number
}
variable "d" {}
