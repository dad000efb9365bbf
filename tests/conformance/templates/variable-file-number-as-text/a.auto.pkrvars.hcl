n       = "12"
s       = 12
untyped = [1, "a"]
