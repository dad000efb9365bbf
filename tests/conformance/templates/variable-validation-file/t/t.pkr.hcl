variable "key" {
  validation {
    condition     = fileexists(var.key) && length(fileset("keys", "*.txt")) == 1
    error_message = "There is no such key."
  }
  validation {
    condition     = trimspace(file(var.key)) == "key"
    error_message = "This is another key."
  }
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
