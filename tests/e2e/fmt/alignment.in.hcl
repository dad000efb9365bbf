locals {
a = 1
bbbbbb = 2 # two
ccc = [1] # list
# a comment between
dd = 3

e = 4 # after a blank line
ffff = {
x = 1
yyy = 2
}
gg = 5
hhhhh = [
1
]
i = 6 /* block */ # line
é = 1
名前名前 = 2
jj = "x" == "y" # equal
k { l = 1 }
mmmm { n = 2 } # trailing
o = f(1,
2)
pppp = 1
}
