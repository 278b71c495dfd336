# tasks: all of crash's options
ps
ps 1
ps 0
ps init kthreadd
ps '^kw.*0'
ps \1
ps -p 100
ps -c 1
ps -t 1
ps -l | head -5
ps -m | head -5
ps -m -C 1 | head -5
ps -g 100
ps -r 1
ps -S
ps -A
ps -y FIFO,RR
ps -s 1
ps -H 1
ps -Y 1
ps -I | tail -2
ps -G -u | tail -2
ps -G 126
