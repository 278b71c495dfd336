# definitions and values
struct list_head
struct -o list_head
struct list_head.next
struct task_struct.pid,comm init_task
struct task_struct.tasks init_task
struct -x task_struct.flags init_task
struct -r list_head init_task
struct list_head init_task -c 2
struct task_struct.exit_state 0xffffffdffc1aec40
union sigval
union -o sigval
* list_head
* list_head init_task
whatis init_task
whatis list_head
whatis schedule
whatis -o list_head
