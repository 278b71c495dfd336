# each way to choose and to show stacks
bt -p -s
bt -c 1,2 -s -x
bt -a -n idle
bt -g 1
bt -l -i 1
bt -f 1 | head -30
bt -F 1 | head -30
bt -t 1
bt -e 1
bt -v
foreach bt -R do_wait
