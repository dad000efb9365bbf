variable "plain" {
  type = object({
    name = string
    size = optional(number)
    kind = optional(string, "small")
    tags = optional(map(string), { a = "b" })
  })
  default = {
    name = "x"
  }
}
variable "given" {
  type = object({
    name = optional(string, "d")
    inner = optional(object({
      a = optional(string, "inner-a")
      b = optional(number, 1)
    }), {})
  })
  default = {}
}
variable "list" {
  type = list(object({
    name = string
    size = optional(number, 3)
  }))
  default = [{ name = "a" }, { name = "b", size = 4 }]
}
variable "map" {
  type = map(object({
    size = optional(number, 3)
    deep = optional(list(object({ x = optional(string, "q") })), [{}])
  }))
  default = { a = {}, b = { size = null } }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
