build {
  sources = ["null.n"]
}
