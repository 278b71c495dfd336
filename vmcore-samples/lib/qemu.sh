# QEMU: the guest's disks, its command line, and talking to it.

# make_disks FOLDER ENCODING...: a.img (has /boot), b.img (truth, raw), c.img (swap), d.img (for dumps; it
# tells the crash kernel which).
make_disks() {
    local disks=$1 boot=$1/files/boot
    shift
    rm -rf "$disks"
    mkdir -p "$boot" "$disks/dumps"
    cp "$work/vmlinuz" "$boot/vmlinuz"
    cp "$work/capture.gz" "$boot/capture.gz"
    printf '%s\n' "$@" > "$disks/dumps/encodings"
    mke2fs -q -t "${disk_type:-ext4}" -d "$disks/files" "$disks/a.img" 256M > /dev/null 2>&1
    truncate -s 64M "$disks/b.img" "$disks/c.img"
    mkswap -q "$disks/c.img" 2>/dev/null
    mke2fs -q -t "${disk_type:-ext4}" -m 0 -d "$disks/dumps" "$disks/d.img" "${dump_disk:-6G}" > /dev/null 2>&1
    mkfifo "$disks/line.in" "$disks/line.out"
}

# start_qemu DISKS CPU WAY COMMAND-LINE: as the coprocess QEMU, which speaks QMP on its standard streams.
# The console is the first serial port, over two fifos: console.txt gets what the guest says, descriptor 7 types.
start_qemu() {
    local disks=$1 cpu=$2 way=$3 append=$4 letter command
    command=(timeout --kill-after=10 "${boot_seconds:-900}" "$qemu_program" "${machine_options[@]}"
        -accel tcg,thread=multi -cpu "$cpu" -m "$guest_memory" -display none -no-reboot -qmp stdio
        -kernel "$work/vmlinuz" -initrd "$work/guest.gz"
        -append "console=$console second=$second_port loglevel=8 log_buf_len=${log_size:-4M} panic=0 sample=$way $append"
        -chardev "pipe,id=console,path=$disks/line" -serial chardev:console
        -nic "user,model=$nic,restrict=on")
    # shellcheck disable=SC2207
    command+=($(second_port_options "$disks/second.txt"))
    for letter in a b c d; do
        command+=(-drive "file=$disks/$letter.img,format=raw,if=none,id=$letter,cache=unsafe" -device "virtio-blk,drive=$letter,serial=$letter")
    done
    cat "$disks/line.out" > "$disks/console.txt" &
    reader_pid=$!
    exec 7<> "$disks/line.in"
    coproc QEMU { exec "${command[@]}" 7>&-; }
    qemu_pid=$QEMU_PID
    exec {qmp_answers}<&"${QEMU[0]}" {qmp_orders}>&"${QEMU[1]}"
    trap 'kill "$qemu_pid" "$reader_pid" 2>/dev/null' EXIT
    qmp '{"execute":"qmp_capabilities"}'
}

# Waits for the guest to end by itself. QMP's events are of no interest.
end_of_qemu() {
    cat <&"$qmp_answers" > /dev/null
    wait "$qemu_pid" 2>/dev/null || say "QEMU did not end well"
    wait "$reader_pid"
    exec 7>&- {qmp_answers}<&- {qmp_orders}>&-
    trap - EXIT
}

# Sends a command and waits for its answer.
qmp() {
    local reply
    echo "$1" >&"$qmp_orders"
    while read -r -t 600 -u "$qmp_answers" reply; do
        case $reply in
        '{"return"'*) return 0 ;;
        '{"error"'*) die "QEMU: $reply" ;;
        esac
    done
    die "QEMU does not answer to $1"
}

# wait_for FILE TEXT SECONDS: false if QEMU ended meanwhile.
wait_for() {
    local tries
    for ((tries = 0; tries < $3; tries++)); do
        ! grep -aqs -e "$2" "$1" || return 0
        kill -0 "$qemu_pid" 2>/dev/null || return 1
        sleep 1
    done
    die "waited $3 s for \"$2\" in $1"
}

# migrate_to FILE: the stopped guest as QEMU's stream. The last thing to ask of it: what it migrated away a guest does not get back.
migrate_to() {
    qmp '{"execute":"migrate","arguments":{"uri":"exec:cat > '"$1"'"}}'
    wait_for_migration
}

wait_for_migration() {
    local reply tries
    for ((tries = 0; tries < 600; tries++)); do
        echo '{"execute":"query-migrate"}' >&"$qmp_orders"
        while read -r -t 60 -u "$qmp_answers" reply; do
            case $reply in
            *'"status": "completed"'*) return 0 ;;
            *'"status": "failed"'*) die "QEMU: $reply" ;;
            '{"return"'*) break ;;
            esac
        done
        sleep 1
    done
    die "QEMU does not end its migration"
}
