# A committed sample: a small kernel of our own, a small guest, one dump. Its recipe says `small=FOLDER`, beside the recipes,
# where kernel.config is and the finished sample goes too. With folded=yes the debug information of vmlinux has no copies of the
# same types, as dwz leaves it, and the modules are packed: half the size.

small_version() {
    echo "$source_package $(candidate "$source_package") $(sha256sum < "$here/$small/kernel.config" | cut -c1-8)"
}

build_small() {
    local version
    build_kernel "$here/$small/kernel.config"
    [ -z "${folded:-}" ] || fold_debug "$tmp/vmlinux"
    version=$(ls "$work/image/lib/modules")
    guest_initramfs "$work/image" "$version"
    capture_initramfs "$work/image" "$version"
    die_of_sysrq
    keep_built_modules "$version"
}

# Its limits are for the sake of smaller machines.
fold_debug() {
    install_packages dwz
    dwz -l none -L none "$1"
}

# What is committed: packed for size, with the same names in the same places.
pack_small() {
    local from=$1 to=$here/$small
    say "packing $to"
    rm -rf "$to/modules"
    mkdir -p "$to/modules"
    cp "$from"/modules/*.ko "$to/modules/"
    [ -z "${folded:-}" ] || xz -9 "$to"/modules/*.ko
    cp "$from/kdump/vmcore" "$from/kdump/console.txt" "$to/"
    [ ! -e "$from/kdump/vmcore-dmesg.txt" ] || cp "$from/kdump/vmcore-dmesg.txt" "$to/"
    xz -9 -T 2 -c "$from/vmlinux" > "$to/vmlinux.xz"
    tar c --sort=name --owner=0 --group=0 --mtime=@0 -C "$from/kdump" truth | xz -9 > "$to/truth.tar.xz"
    du -sh "$to" >&2
}
