# Refused, unknown, unreadable: each with one sentence.
gdb
gdb run
gdb break schedule
gdb call schedule()
gdb attach 1
gdb set var jiffies = 1
gdb nosuch
gdb print nosuch
gdb print *(int *)8
gdb python raise ValueError("oh")
p schedule()
p $_nosuch()
p/t nosuch
break schedule
