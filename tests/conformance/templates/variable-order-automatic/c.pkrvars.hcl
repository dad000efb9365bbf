v = "not automatic"
