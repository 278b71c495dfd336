# what is not there, told by each command
ps 99999
rd nosuchsymbol
rd 0
rd -8
vtop nosuchsymbol
struct nosuch
struct task_struct.nosuch
struct task_struct 0
union nosuch
p nosuch
p init_task.nosuch
p (1
whatis nosuch
eval 1 / 0
eval
sym nosuchsymbol
mod -s nosuch
kmem -s nosuch
kmem -x
log -q
sys -q
foreach nosuch ps
