# as crash prints it
dis sysrq_handle_crash
dis -x sysrq_handle_crash
dis -l sysrq_handle_crash
dis schedule 30
dis -x schedule+16 4
dis (sysrq_handle_crash+5)
dis -r schedule+16
dis -r schedule+16 2
dis -f schedule+101 3
# an address alone, a variable's bytes as code, a module's function
dis current_umask
dis -l virtblk_probe 8
dis jiffies
dis -b
