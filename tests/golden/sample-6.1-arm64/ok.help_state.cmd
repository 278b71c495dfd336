# help -LETTER
help -D
help -k
help -K
help -m
help -o
help -r
help -s
help -t
help -T
help -v
help -V
help -z
