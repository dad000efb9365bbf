a = env("HOME")
