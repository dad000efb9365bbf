local "a" {
  expression = "supersecret"
  sensitive  = "yes"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
