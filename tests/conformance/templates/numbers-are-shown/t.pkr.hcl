locals {
  big  = 12345678901234567890
  neg  = -1.25e-7
  ten  = 1e21
  third = 1 / 3
  nested = [12345678901234567890, 1e21, 0.1]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
