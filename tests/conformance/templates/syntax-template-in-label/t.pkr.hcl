source "null" "${local.n}" {
  communicator = "none"
}
