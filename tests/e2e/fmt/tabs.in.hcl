a  =  {
	b=1
		cc=2	# tab
}



d=1   
e=2