v = "automatic"
