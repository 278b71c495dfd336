# GDB's answers: of types and lines as stock gdb gives them of the same vmlinux (tests/gdb/stock.py), of values as kcrash's own commands do.
gdb ptype/o struct list_head
gdb whatis jiffies
gdb print sizeof(struct page)
gdb print init_task.comm
p/t 10
p/c 65
p 7.5 / 2
p $_strlen("abc")
p $1 + 1
gdb print $5 * 2
p $
ptype struct rb_root
whatis struct list_head
info symbol schedule
x/2xg &init_task
gdb info line schedule
gdb frame 2
p fmt
info locals
gdb bt 3
set 1
gdb bt 3
gdb thread
gdb python print(gdb.parse_and_eval("init_task.pid"))
