# How a stock Debian kernel becomes a sample. A recipe names its packages by kernel_pattern.

package_version() {
    newest_kernel "$kernel_pattern"
}

unpack_kernel() {
    local image=$1 version=${1#linux-image-}
    say "downloading $image and its debug files"
    download "$work/debs" "$image" "$image-dbg"
    unpack_deb "$work"/debs/"$image"_*.deb "$work/image" ./boot './lib/modules/*' ./usr 2>/dev/null ||
        dpkg -x "$work"/debs/"$image"_*.deb "$work/image"
    unpack_deb "$work"/debs/"$image"-dbg_*.deb "$work/debug" './usr/lib/debug/boot/*'
    cp "$work/image/boot/vmlinuz-$version" "$work/vmlinuz"
    mv "$work/debug/usr/lib/debug/boot/vmlinux-$version" "$tmp/vmlinux"
    # 6.12 has its modules under /usr; modprobe and depmod want them under /lib.
    [ -d "$work/image/lib/modules" ] || ln -s usr/lib "$work/image/lib"
    depmod -b "$work/image" "$version"
}

# keep_modules VERSION: the modules that any boot had loaded, as shipped, and their debug files.
keep_modules() {
    local version=$1 name pattern files=()
    mkdir -p "$tmp/modules/debug"
    cut -d ' ' -f 1 "$tmp"/*/truth/modules | sort -u > "$work/loaded"
    while read -r name; do
        pattern=${name//_/[-_]}
        find "$work/image/lib/modules/$version/" -name "$pattern.ko*" -exec cp {} "$tmp/modules/" \;
        files+=("*/$pattern.ko*")
    done < "$work/loaded"
    unpack_deb "$work"/debs/*-dbg_*.deb "$work/debug" "${files[@]}"
    find "$work/debug" -name '*.ko*' -exec mv {} "$tmp/modules/debug/" \;
}

build_sample() {
    local image version
    image=$(newest_kernel "$kernel_pattern") || die "no kernel package matches $kernel_pattern; run apt-get update"
    image=${image%% *}
    version=${image#linux-image-}
    unpack_kernel "$image"
    guest_initramfs "$work/image" "$version"
    capture_initramfs "$work/image" "$version"
    die_of_sysrq
    die_from_outside
    die_in_interrupt
    keep_modules "$version"
}
