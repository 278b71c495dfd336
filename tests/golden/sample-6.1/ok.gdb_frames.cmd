# GDB's frames of a sleeping task, whose stack bt shows as well (tests/gdb/run.py compares them for all tasks), and what it lists.
set 1
bt
gdb frame 2
gdb info locals
gdb info registers rip rsp rbp
gdb output tsk
gdb up
frame
info scope schedule_timeout
info functions ^schedule_timeout
info variables ^jiffies
list schedule
gdb down
extend
dis -d schedule 4
