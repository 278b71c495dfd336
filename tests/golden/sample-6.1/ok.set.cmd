# the current task
set
set 1
set
set -c 1
set -c 3
set init_task
set -p
set -a 1
set -a 187
set 0x1
