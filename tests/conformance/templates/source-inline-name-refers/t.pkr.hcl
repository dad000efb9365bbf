variable "name" {
  default = "x"
}
source "null" "n" {
  communicator = "none"
}
build {
  source "null.n" {
    name = var.name
  }
}
