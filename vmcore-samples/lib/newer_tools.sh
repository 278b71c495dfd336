# QEMU, its firmware and a C library from sid, for a machine that bookworm's cannot be: they stay in the folder of the work and run
# with sid's own loader and libraries.

# newer_qemu FOLDER PROGRAM PACKAGE...: FOLDER/qemu, a script that runs sid's PROGRAM.
newer_qemu() (
    local folder=$1 program=$2 libraries
    shift 2
    arch=$(dpkg --print-architecture)
    use_packages sid
    refresh_packages || die "cannot read sid's package lists"
    # shellcheck disable=SC2046
    download "$folder/debs" $(with_libraries "$@") "$@" qemu-system-data
    local deb
    for deb in "$folder"/debs/*.deb; do
        dpkg -x "$deb" "$folder"
    done
    libraries=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -s -d :)
    cat > "$folder/qemu" << END
#!/bin/sh
exec $(find "$folder/usr/lib" -name 'ld-linux*' | head -n 1) --library-path $libraries $folder/usr/bin/$program \
    -L $folder/usr/share/qemu -L /usr/lib/ipxe/qemu "\$@"
END
    chmod +x "$folder/qemu"
)

# clang_compiler FOLDER PACKAGE...: FOLDER/$triplet-gcc, which is clang with the C library of these packages.
clang_compiler() {
    local folder=$1 deb objects
    shift
    download "$folder/debs" "$@"
    for deb in "$folder"/debs/*.deb; do
        dpkg -x "$deb" "$folder"
    done
    objects=$(find "$folder/usr/lib/gcc" -name crtbeginT.o -printf '%h\n')
    compiler_prefix=$folder/$triplet-
    cat > "${compiler_prefix}gcc" << END
#!/bin/sh
exec clang-19 --target=$triplet --sysroot=$folder -B$objects -L$objects -fuse-ld=lld -Wno-unused-command-line-argument "\$@"
END
    chmod +x "${compiler_prefix}gcc"
}

newer_loongarch() {
    local libgcc
    say "fetching QEMU, its firmware and a C library from sid"
    newer_qemu "$work/qemu-sid" qemu-system-loongarch64 qemu-system-misc qemu-efi-loongarch64
    qemu_program=$work/qemu-sid/qemu
    machine_options+=(-bios "$work/qemu-sid/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd")
    libgcc=$(apt-cache "${apt_options[@]}" pkgnames libgcc- | grep -E '^libgcc-[0-9]+-dev$' | sort -V | tail -n 1)
    clang_compiler "$work/compiler" libc6 libc6-dev linux-libc-dev "$libgcc"
}
