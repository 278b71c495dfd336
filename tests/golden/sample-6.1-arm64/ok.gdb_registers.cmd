# One field of TCR_EL1 is in vmcoreinfo: NUMBER(TCR_EL1_T1SZ)=0x19. Nothing else of that register is known.
gdb info registers $TCR_EL1
gdb output $TCR_EL1
gdb printf "%#lx\n", $TCR_EL1
gdb python print((int(gdb.parse_and_eval('$TCR_EL1')) >> 16) & 63)
