# How a small kernel of our own is built from Debian's kernel source.

source_tools="bc bison flex make libelf-dev libssl-dev dwarves rsync debugedit binutils"

# build_kernel CONFIG: $work/image with /lib/modules, $work/vmlinuz, $tmp/vmlinux. Names and dates of the build are fixed.
build_kernel() {
    local config=$1 tree version
    # shellcheck disable=SC2086
    install_packages $source_tools "$source_package"
    say "building a kernel from $source_package"
    mkdir -p "$work/source"
    tar xf "/usr/src/$source_package.tar.xz" -C "$work/source"
    tree=$work/source/$source_package
    patch_source "$tree"
    export KBUILD_BUILD_USER=kcrash KBUILD_BUILD_HOST=sample KBUILD_BUILD_TIMESTAMP='Mon Jan  1 00:00:00 UTC 2024'
    kernel_make() {
        make -s -C "$tree" ARCH="$kernel_arch" CROSS_COMPILE="$compiler_prefix" "$@"
    }
    kernel_make KCONFIG_ALLCONFIG="$config" allnoconfig > /dev/null
    all_wanted "$config" "$tree/.config"
    kernel_make -j"$(nproc)" "$kernel_image" modules > "$work/build.log" 2>&1 || die "the build failed; see $work/build.log"
    kernel_make INSTALL_MOD_PATH="$work/image" modules_install > /dev/null
    cp "$tree/$kernel_boot" "$work/vmlinuz"
    # The relocations were for the boot loader's sake and are as big as what they relocate; .rela.dyn is the kernel's own.
    "${compiler_prefix}objcopy" -w -R '.rela*' -R '!.rela.dyn' "$tree/vmlinux" "$tmp/vmlinux"
    name_sources "$tree" "$tmp/vmlinux" "$work/image/lib/modules"
}

# A recipe may have a reason to change the source.
patch_source() {
    :
}

# The folder it was built in is nobody's business: debug information names another, as a distribution's does.
name_sources() {
    local tree=$1 file
    find "$2" "$3" -type f \( -name vmlinux -o -name '*.ko' \) | while read -r file; do
        debugedit -b "$tree" -d "/usr/src/$source_package" "$file"
    done
}

# An option that Kconfig dropped silently would be missed only much later.
all_wanted() {
    local line
    while read -r line; do
        grep -qxF -e "$line" "$2" || die "the kernel's configuration lost $line"
    done < <(grep '^CONFIG' "$1")
}

# keep_built_modules VERSION: the modules that were loaded, with their debug information.
keep_built_modules() {
    local name
    mkdir -p "$tmp/modules"
    while read -r name _; do
        find "$work/image/lib/modules/$1" -name "$name.ko" -exec cp {} "$tmp/modules/" \;
    done < "$tmp/kdump/truth/modules"
    ! needs_module || cp "$work/dying/dying.ko" "$tmp/modules/"
}
