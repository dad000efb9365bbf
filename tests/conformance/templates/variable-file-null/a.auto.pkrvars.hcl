a = null
l = null
