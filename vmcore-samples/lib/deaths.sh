# The deaths: by a process into the crash kernel, in an interrupt and in several other ways into it, from outside without one.

# die_of_sysrq: kdump/, every encoding.
die_of_sysrq() {
    die_into_crash_kernel kdump "$cpu_of_process" sysrq "$kdump_append" "${encodings[@]}"
}

# die_traced: traced/, one dump of a guest in which the function graph tracer and return probes are on.
die_traced() {
    die_into_crash_kernel traced "$cpu_of_process" traced "" "${encodings[0]}"
}

# die_in_interrupt: irq/, one dump. A break on the serial line (or what the console has instead) and the letter c: the kernel panics
# in the interrupt that reads the letter, on CPU 2, over spin_kernel.
die_in_interrupt() {
    die_into_crash_kernel irq "$cpu_of_others" irq "" "${encodings[0]}"
}

# die_in_other_ways: a folder for each of the recipe's deaths: one dump and its log. They are ways of guest/dying/dying.c, or
# kdump_nmi, an NMI from the host that nobody expects. What is said in an NMI and in a double fault is only in the log: the console
# would have got it later.
die_in_other_ways() {
    local way version
    read -r _ version _ <<< "${encodings[0]}"
    for way in "${deaths[@]}"; do
        die_into_crash_kernel "$way" "$cpu_of_process" "$way" "pti=on" "vmcore ${encodings[0]#* }" "vmcore-dmesg.txt $version --dump-dmesg"
    done
}

# die_into_crash_kernel FOLDER CPU WAY COMMAND-LINE ENCODING...
# Under KASLR there may be no room where the crash kernel wants to be: boot again, once.
die_into_crash_kernel() {
    local folder=$1 cpu=$2 way=$3 append=$4 disks=$work/$1 attempt
    shift 4
    for attempt in first second; do
        say "$folder: the $attempt boot"
        make_disks "$disks" "$@"
        start_qemu "$disks" "$cpu" "$way" "crashkernel=$crash_memory $append"
        send_death "$way" "$disks"
        end_of_qemu
        ! grep -aq 'capture: done' "$disks/second.txt" || break
    done
    grep -aq 'capture: done' "$disks/second.txt" || die "no dump was written; see $disks/console.txt and second.txt"
    take_dumps "$disks" "$tmp/$folder"
    take_truth "$disks" "$tmp/$folder"
}

# What the host does for this way of dying, when the guest is ready; for most nothing.
send_death() {
    local way=$1 disks=$2
    case $way in
    irq) send_break "$disks" ;;
    kdump_nmi) ! wait_for "$disks/second.txt" 'ready to die' 600 || qmp '{"execute":"inject-nmi"}' ;;
    esac
}

send_break() {
    wait_for "$1/second.txt" 'ready to die' 600 || return 0
    if [ -n "$console_break" ]; then
        printf '%b' "$console_break" >&7
    else
        qmp '{"execute":"chardev-send-break","arguments":{"id":"console"}}'
        sleep 1
    fi
    printf c >&7
}

take_dumps() {
    local disks=$1 target=$2
    mkdir -p "$target"
    debugfs -R "rdump / $target" "$disks/d.img" 2>/dev/null
    rm -rf "$target/lost+found"
    ! grep failed "$target/results" || die "makedumpfile failed; see $disks/second.txt"
    rm "$target/results" "$target/encodings"
    chmod -R u+w,a+r "$target"
    cp "$disks/second.txt" "$target/capture.txt"
}

# die_from_outside: qemu/, dumped by QEMU. An NMI kills the guest where the machine has one, else a break and the letter c.
die_from_outside() {
    local disks=$work/qemu target=$tmp/qemu
    say "qemu: the boot"
    make_disks "$disks"
    mkdir -p "$target"
    start_qemu "$disks" "$cpu_of_others" "$outside_death" "$qemu_append"
    [ "$outside_death" = alone ] || wait_for "$disks/second.txt" 'ready to die' 600 || die "the guest ended too early; see $disks/console.txt"
    case $outside_death in
    nmi) qmp '{"execute":"inject-nmi"}' ;;
    break) send_break "$disks" ;;
    esac
    wait_for "$disks/console.txt" "$last_words" 600 || die "the guest ended; see $disks/console.txt"
    [ "$last_words" = 'end Kernel panic' ] || sleep 5 # the stack and the registers are still to come
    qmp '{"execute":"stop"}'
    qmp '{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:'"$target/dump.elf"'"}}'
    qmp '{"execute":"dump-guest-memory","arguments":{"paging":false,"format":"kdump-zlib","protocol":"file:'"$target/dump.kdump"'"}}'
    (migrate_to "$target/stream") || { rm -f "$target/stream"; say "no stream: QEMU does not migrate this machine"; }
    qmp '{"execute":"quit"}'
    end_of_qemu
    chmod u+w,a+r "$target"/*
    take_truth "$disks" "$target"
}
