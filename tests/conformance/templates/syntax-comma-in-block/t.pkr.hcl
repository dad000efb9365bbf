source "null" "n" {
  communicator = "none",
  ssh_host     = "x"
}
