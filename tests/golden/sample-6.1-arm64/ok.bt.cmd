# stacks
bt
bt 1
bt -a
bt -l 1
bt -s 1
foreach UN bt
foreach active bt -R do_idle
bt -c 1
task -R pid,comm 1
