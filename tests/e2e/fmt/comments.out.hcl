# first
// second
/* third
      kept as it is
 */
a              = 1 # hash
b              = 2 // slashes
c              = /* within */ 3
/* before */ d = 4
e = [ # after a bracket
  # in a list
  1, # one
  // last
]   # end
f { # after a brace
  # only a comment
}
# an indented comment


g = (1 # one
+ 2)
#
