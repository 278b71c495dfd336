# every number may be an address of the kernel: who names a task means the task's
vtop -c 1 1000000
vtop -k -c 1 1000000
# the return address of a call that does not return, in the padding behind its function
dis -r 8a06012 2
