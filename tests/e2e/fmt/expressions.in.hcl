locals {
a=1+2*3-4/5%6
ab = -1
abc=- 1+-x
b=! true&&!(false||x)
c=a==b?1:2
d=(a!=b
?c
:d)
}
locals {
e=f( 1,2 , [3 ,4]... )
f=a . b [ 0 ] . c
g=a.*.b
h=a[ * ].b
i=[ for x in [1,2]:x if x>1 ]
j={for k,v in x:k=>v...}
k="${ a }-${ upper( "b" ) }-${ {a=1} . a }"
l=[1,[2,[3]],{a=1,b={c=2}}]
m={a=1,"b":2, (c)=3}
n={}
o=[]
p=x<1||x<=2||x>3||x>=4
q="%{if a}b%{else}c%{ endif }"
r=ns::fn(1)
s=[for x in(y):x]
t=a ? -1 : -b
}
