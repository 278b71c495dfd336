# The two boots: one that dies into its crash kernel, one that is dumped by QEMU from outside.

# make_disks FOLDER: a.img (ext4, has /boot), b.img (truth, raw), c.img (swap), d.img (ext4, for dumps).
make_disks() {
    local disks=$1 boot=$1/files/boot
    rm -rf "$disks"
    mkdir -p "$boot"
    cp "$work/vmlinuz" "$boot/vmlinuz"
    [ ! -e "$work/capture.gz" ] || cp "$work/capture.gz" "$boot/capture.gz"
    mke2fs -q -t ext4 -d "$disks/files" "$disks/a.img" 256M > /dev/null 2>&1
    truncate -s 64M "$disks/b.img" "$disks/c.img"
    mkswap -q "$disks/c.img" 2>/dev/null
    mke2fs -q -t ext4 -m 0 "$disks/d.img" "${dump_disk:-6G}" > /dev/null 2>&1
}

# run_qemu DISKS CPU SAMPLE COMMAND-LINE QEMU-OPTION...
run_qemu() {
    local disks=$1 cpu=$2 sample=$3 append=$4 letter options=()
    shift 4
    for letter in a b c d; do
        options+=(-drive "file=$disks/$letter.img,format=raw,if=virtio,cache=unsafe")
    done
    timeout --kill-after=10 "${boot_seconds:-1500}" qemu-system-x86_64 -accel tcg,thread=multi -cpu "$cpu" \
        -m "$guest_memory" -smp 4 -display none -no-reboot \
        -kernel "$work/vmlinuz" -initrd "$work/guest.gz" \
        -append "console=ttyS0 loglevel=8 log_buf_len=${log_size:-4M} sample=$sample $append" \
        -serial "file:$disks/console.txt" -serial "file:$disks/second.txt" \
        -device vmcoreinfo -nic user,model=virtio-net-pci,restrict=on "${options[@]}" "$@"
}

# Under KASLR there may be no room where the crash kernel wants to be: boot again, once.
boot_kdump() {
    local disks=$work/kdump attempt
    for attempt in first second; do
        say "the $attempt boot that dies into its crash kernel"
        make_disks "$disks"
        run_qemu "$disks" max kdump "crashkernel=$crash_memory panic=0 $kdump_append" < /dev/null ||
            die "QEMU did not end by itself; see $disks/console.txt"
        grep -q 'capture: done' "$disks/second.txt" && break
    done
    grep -q 'capture: done' "$disks/second.txt" || die "no dump was written; see $disks/console.txt and second.txt"
    take_dumps "$disks" "$tmp/kdump"
    take_truth "$disks" "$tmp/kdump"
}

take_dumps() {
    local disks=$1 target=$2
    mkdir -p "$target"
    debugfs -R "rdump / $target" "$disks/d.img" 2>/dev/null
    rm -rf "$target/lost+found"
    ! grep failed "$target/results" || die "makedumpfile failed; see $disks/second.txt"
    mv "$target/results" "$work/results"
    chmod -R u+w,a+r "$target"
    cp "$disks/second.txt" "$target/capture.txt"
}

# Speaks QMP over the standard streams of QEMU, which is a coprocess.
qmp() {
    local reply
    echo "$1" >&"${QEMU[1]}"
    while read -r -t 600 reply <&"${QEMU[0]}"; do
        case $reply in
        '{"return"'*) return 0 ;;
        '{"error"'*) die "QEMU: $reply" ;;
        esac
    done
    die "QEMU does not answer to $1"
}

# wait_for FILE TEXT SECONDS
wait_for() {
    local tries
    for ((tries = 0; tries < $3; tries++)); do
        ! grep -qs -e "$2" "$1" || return 0
        sleep 1
    done
    die "waited $3 s for \"$2\" in $1"
}

boot_qemu() {
    local disks=$work/qemu target=$tmp/qemu
    say "the boot that QEMU dumps"
    make_disks "$disks"
    mkdir -p "$target"
    coproc QEMU { run_qemu "$disks" max,la57=off qemu "panic=0 $qemu_append" -qmp stdio; }
    local pid=$QEMU_PID
    qmp '{"execute":"qmp_capabilities"}'
    wait_for "$disks/second.txt" 'ready to die' 600
    qmp '{"execute":"inject-nmi"}'
    wait_for "$disks/console.txt" 'end Kernel panic' 120
    qmp '{"execute":"stop"}'
    qmp '{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:'"$target/dump.elf"'"}}'
    qmp '{"execute":"dump-guest-memory","arguments":{"paging":false,"format":"kdump-zlib","protocol":"file:'"$target/dump.kdump"'"}}'
    qmp '{"execute":"quit"}'
    wait "$pid" 2>/dev/null || true
    chmod u+w,a+r "$target"/dump.*
    take_truth "$disks" "$target"
}
