variable "v" {
  type    = set(object({ n = number }))
  default = [{ n = 2 }, { n = 1 }, { n = 2 }]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
