a = "y"
