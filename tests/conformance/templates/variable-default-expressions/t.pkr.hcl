variable "a" {
  default = 1 + 2
}
variable "b" {
  default = [for s in ["x", "y"] : "${s}!"]
}
variable "c" {
  default = true ? "yes" : "no"
}
variable "d" {
  default = <<-EOT
    text
      more
  EOT
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
