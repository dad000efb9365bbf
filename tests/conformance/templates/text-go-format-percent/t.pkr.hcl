locals {
  a = "%d %%{x} 5%"
  b = format("%s%%", "5")
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
