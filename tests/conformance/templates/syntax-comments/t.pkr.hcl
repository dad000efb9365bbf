# one
locals { # two
  a = 1 // three
  /* four */ b = [ # five
    1, // six
    /* seven */ 2,
  ]
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["null.n"]
}
