source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
  post-processor "manifest" {
    output = "m.json"
    strip_path = true
    custom_data = { a = "b"
    c = 1 }
  }
}
