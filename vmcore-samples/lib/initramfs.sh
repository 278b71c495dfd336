# The initramfs of the guest and of its crash kernel, and the two programs of the guest.

compile_guest() {
    local folder=$1 compiler=${compiler_prefix}gcc
    "$compiler" -O1 -g -Wall -Wextra -static -pthread -o "$folder/crowd" "$here"/guest/{crowd,waiting,memory,odd}.c
    "$compiler" -O1 -g -Wall -Wextra -static -o "$folder/record" "$here"/guest/{record,archive}.c
}

# Sets programs_folder: where the guest's programs and their libraries are. This machine's own, or those of packages.
find_programs() {
    programs_folder=
    [ "$arch" != "$(dpkg --print-architecture)" ] || return 0
    programs_folder=$work/programs
    [ ! -e "$programs_folder" ] || return 0
    # shellcheck disable=SC2046
    unpack_programs "$programs_folder" $(with_libraries $guest_packages)
}

# Is there a death that only the module can die?
needs_module() {
    local way
    for way in "${deaths[@]}"; do
        [ "$way" = kdump_nmi ] || return 0
    done
    return 1
}

# compile_dying HEADERS: the module $work/dying/dying.ko, with debug information, for the kernel whose headers or source these are.
compile_dying() {
    cp -r "$here/guest/dying" "$work/dying"
    make -s -C "$1" M="$work/dying" modules > "$work/dying.log" 2>&1 || die "the module does not compile; see $work/dying.log"
}

# add_program ROOT PROGRAM: with the libraries it is linked to.
add_program() {
    local root=$1 program=$programs_folder$2 library libraries place
    [ -e "$program" ] || program=$programs_folder/usr$2 # newer suites have everything under /usr
    mkdir -p "$root/bin"
    cp -L "$program" "$root/bin/"
    libraries=$(needed_libraries "$programs_folder" "$program")
    for library in $libraries; do
        place=${library#"$programs_folder"}
        mkdir -p "$root${place%/*}"
        cp -L "$library" "$root$place"
    done
    add_loader "$root" "$program"
}

# The loader lies where the program asks for it.
add_loader() {
    local root=$1 loader
    loader=$(readelf -lW "$2" | sed -n 's/.*interpreter: \(.*\)]$/\1/p')
    mkdir -p "$root${loader%/*}"
    [ -e "$root$loader" ] || cp -L "$programs_folder$loader" "$root$loader" 2>/dev/null || cp -L "$programs_folder/usr$loader" "$root$loader" 2>/dev/null ||
        cp "$(find "$root" -name "${loader##*/}" | head -n 1)" "$root$loader" # add_program put it among the libraries
}

# add_modules ROOT FROM VERSION LIST: the modules that the LIST file names, and those they need, unpacked, for modprobe.
add_modules() {
    local root=$1 from=$2 version=$3 list=$4 module file plain target=$1/lib/modules/$3
    mkdir -p "$target" "$root/etc"
    cp "$list" "$root/etc/modules"
    while read -r module _; do
        modprobe -d "$from" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" {print $2}' ||
            die "the kernel has no module $module"
    done < "$list" | sort -u > "$work/module-files"
    while read -r file; do
        plain=${file##*/}
        plain=${plain%.xz}
        case $file in
        *.xz) xz -dc "$file" > "$target/$plain" ;;
        *) cp "$file" "$target/$plain" ;;
        esac
    done < "$work/module-files"
    cp "$from/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$target/" 2>/dev/null || true
    depmod -b "$root" "$version"
}

pack() {
    (cd "$1" && find . | cpio -o -H newc --quiet | gzip -1) > "$2"
}

add_busybox() {
    find_programs
    cp "$programs_folder/bin/busybox" "$1/bin/busybox" 2>/dev/null || cp "$programs_folder/usr/bin/busybox" "$1/bin/busybox"
}

# guest_initramfs FROM VERSION: $work/guest.gz. The crash kernel's parts are on the guest's disk.
guest_initramfs() {
    local root=$work/guest-root
    mkdir -p "$root/bin" "$root/etc"
    add_busybox "$root"
    cp "$here/guest/init" "$root/init"
    compile_guest "$root/bin"
    add_program "$root" /sbin/kexec
    printf '%s\n' "${guest_modules[@]}" $(machine_modules) > "$work/guest-modules"
    add_modules "$root" "$1" "$2" "$work/guest-modules"
    ! needs_module || objcopy --strip-debug "$work/dying/dying.ko" "$root/dying.ko"
    pack "$root" "$work/guest.gz"
}

# capture_initramfs FROM VERSION: $work/capture.gz.
capture_initramfs() {
    local root=$work/capture-root
    mkdir -p "$root/bin" "$root/etc"
    add_busybox "$root"
    cp "$here/guest/capture-init" "$root/init"
    [[ $guest_packages != *makedumpfile* ]] || add_program "$root" /usr/bin/makedumpfile
    [[ "${encodings[*]} " != *" NEW "* ]] || newer_makedumpfile "$root/new"
    printf '%s\n' $(machine_modules) "${capture_modules[@]}" > "$work/capture-modules"
    add_modules "$root" "$1" "$2" "$work/capture-modules"
    pack "$root" "$work/capture.gz"
}
