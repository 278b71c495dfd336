# the machine and its death
sys
sys -t
sys -i
sys -c 0
sys -c | tail -3
