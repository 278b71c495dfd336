# variables and expressions
p jiffies
p init_task.comm
p -x jiffies_64
p runqueues:0 | head -5
p &init_task
p init_task.pid
p *init_task.parent | head -3
p init_task.tasks.next
p $1
eval 41
eval -b 41
eval (1 << 40)
eval 4k
eval -1
eval (ff + 1)
