# the kernel's messages
log | head -4
log | tail -4
dmesg | head -1
log -T | head -2
log -t | head -2
log -m | head -2
log -c | tail -2
log | grep escape
