# names, of the kernel and of a module
sym panic
sym jiffies runqueues linux_banner
sym -n schedule
sym -p schedule
sym -np jiffies
sym -s panic jiffies runqueues dummy_xmit
sym -q sched_fork
sym -Q sched_fork
sym -q no_such_symbol_at_all
sym panic+20
sym dummy_xmit
sym -np dummy_xmit
sym name_show
sym -m dummy
