# How a stock Debian kernel becomes a sample. A recipe names its packages by kernel_pattern, and may have deaths (see
# die_in_other_ways).
deaths=()

package_version() {
    newest_kernel "$kernel_pattern"
}

# The packages with the kernel and its modules and the lists of them. Since 7.2 the image package is empty and depends on them.
parts_of() {
    echo "$1"
    apt-cache "${apt_options[@]}" depends "$1" | sed -nE 's/^ *Depends: (linux-(base|binary|modules)-.*)/\1/p'
}

unpack_kernel() {
    local image=$1 version=${1#linux-image-} parts part
    say "downloading $image and its debug files"
    parts=$(parts_of "$image")
    # shellcheck disable=SC2086
    download "$work/debs" $parts "$image-dbg"
    for part in $parts; do
        dpkg -x "$work/debs/$part"_*.deb "$work/image"
    done
    # Since 7.2 the file in boot/ is a link to one among the modules.
    unpack_deb "$work"/debs/"$image"-dbg_*.deb "$work/debug" './usr/lib/debug/boot/vmlinux-*' './usr/lib/debug/lib/modules/*/vmlinux' 2>/dev/null || true
    cp -L "$work/debug/usr/lib/debug/boot/vmlinux-$version" "$tmp/vmlinux"
    # 6.12 has its modules under /usr; modprobe and depmod want them under /lib. 7.2 has the kernel among them.
    [ -d "$work/image/lib/modules" ] || ln -s usr/lib "$work/image/lib"
    cp "$work/image/boot"/vmlinu[xz]-"$version" "$work/vmlinuz" 2>/dev/null || cp "$work/image/lib/modules/$version/vmlinuz" "$work/vmlinuz"
    cp -L "$work/image/boot/config-$version" "$tmp/config" 2>/dev/null || cp "$work/image/lib/modules/$version/config" "$tmp/config"
    depmod -b "$work/image" "$version"
}

# keep_modules VERSION: the modules that any boot had loaded, as shipped, and their debug files.
keep_modules() {
    local version=$1 name pattern files=()
    mkdir -p "$tmp/modules/debug"
    cut -d ' ' -f 1 "$tmp"/*/truth/modules | sort -u | grep -vx dying > "$work/loaded"
    while read -r name; do
        pattern=${name//_/[-_]}
        find "$work/image/lib/modules/$version/" -name "$pattern.ko*" -exec cp {} "$tmp/modules/" \;
        files+=("*/$pattern.ko*")
    done < "$work/loaded"
    unpack_deb "$work"/debs/*-dbg_*.deb "$work/debug" "${files[@]}"
    find "$work/debug" -name '*.ko*' -exec mv {} "$tmp/modules/debug/" \;
    ! needs_module || cp "$work/dying/dying.ko" "$tmp/modules/debug/"
}

# A recipe may say otherwise.
let_die() {
    die_of_sysrq
    die_from_outside
    die_in_interrupt
    die_in_other_ways
}

build_sample() {
    local image version
    image=$(newest_kernel "$kernel_pattern") || die "no kernel package matches $kernel_pattern; run apt-get update"
    image=${image%% *}
    version=${image#linux-image-}
    unpack_kernel "$image"
    if needs_module; then
        install_packages make "linux-headers-$version"
        compile_dying "/usr/src/linux-headers-$version"
    fi
    guest_initramfs "$work/image" "$version"
    capture_initramfs "$work/image" "$version"
    let_die
    keep_modules "$version"
}
