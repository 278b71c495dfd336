# GDB's answers: of types and lines as stock gdb gives them of the same vmlinux (tests/gdb/stock.py), of values as kcrash's own commands do.
gdb ptype/o struct list_head
gdb whatis jiffies
gdb print sizeof(struct page)
gdb print init_task.comm
p/t 10
p/c 65
p 7.5 / 2
p $_strlen("abc")
gdb print $ * 2
p $
ptype struct rb_root
whatis struct list_head
info symbol schedule
x/2xg &init_task
gdb info line schedule
set 1
gdb bt 3
set -p
gdb bt 6
gdb python print(gdb.parse_and_eval("init_task.pid"))
info types ^list_head$
