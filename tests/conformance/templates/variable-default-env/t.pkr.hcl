variable "set" {
  default = env("CONFORMANCE_WORD")
}
variable "unset" {
  default = env("CONFORMANCE_NOTHING")
}
variable "inside" {
  default = "<${env("CONFORMANCE_WORD")}>"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
