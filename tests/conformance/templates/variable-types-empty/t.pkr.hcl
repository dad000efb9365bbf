variable "l" {
  type    = list(string)
  default = []
}
variable "m" {
  type    = map(string)
  default = {}
}
variable "untyped_list" {
  default = []
}
variable "untyped_map" {
  default = {}
}
variable "text" {
  default = ""
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
