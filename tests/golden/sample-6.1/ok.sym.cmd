# names and addresses
sym schedule
sym -q sched_fork
sym -np jiffies
sym ffffffff84a12600
sym init_task+5
sym -l | head -3
sym -m dummy | head -5
mod
mod -t
mod -s dummy
mod -d dummy
