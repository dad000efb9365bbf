variable "v" {
  type = map(object({
    sizes = list(number)
    kind  = optional(object({ name = string, tags = optional(set(string), ["a"]) }))
  }))
  default = {
    a = { sizes = ["1", 2] }
    b = { sizes = [], kind = { name = 5 } }
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
