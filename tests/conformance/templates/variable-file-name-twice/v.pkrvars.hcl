a = "x"

a = "y"
