# The truth: what the guest wrote to its raw disk before it died, and what its console said.

# take_truth DISKS TARGET: TARGET/truth/ and TARGET/console.txt.
take_truth() {
    local disks=$1 target=$2
    mkdir -p "$target/truth"
    tar x -C "$target/truth" -f "$disks/b.img" --no-same-owner --ignore-zeros
    rm -f "$target/truth/padding"
    [ -s "$target/truth/uptime" ] || die "the truth is cut short; see $disks/console.txt"
    # Where the crash kernel speaks there too, its words are those from its "Linux version" on.
    awk '/\] Linux version / && ++versions == 2 { exit } { print }' "$disks/console.txt" > "$target/console.txt"
}
