# a type or a symbol without its verb
list_head
list_head.next
jiffies
task_struct.pid init_task
init_task.comm
pgd_t
schedule
