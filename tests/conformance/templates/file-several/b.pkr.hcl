variable "v" {
  default = "v"
}
source "null" "n" {
  communicator = "none"
}
