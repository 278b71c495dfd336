# as gdb prints it
dis sysrq_handle_crash
dis -l sysrq_handle_crash
dis schedule 30
dis -x schedule+16 4
dis -r schedule+16
dis -f schedule+16 3
dis -l virtblk_probe 8
dis -b
