# bytes
rd init_task 8
rd -32 init_task 8
rd -8 linux_banner 10
rd -16 -d init_task 4
rd -s init_task 8
rd -a linux_banner
rd -x init_task 2
rd -p 409aec40
rd -e init_task+16 init_task
vtop init_task
vtop -u -c 1 400000
vtop ffffff8000ce2640
vtop ffffffc008000000
vtop dummy_xmit
