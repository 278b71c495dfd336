# memory
kmem -i
kmem -s
kmem -s filp
kmem -S filp | head -60
kmem -v | head -10
kmem -V
kmem -z
