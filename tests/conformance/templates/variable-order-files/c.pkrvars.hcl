v = "c"
