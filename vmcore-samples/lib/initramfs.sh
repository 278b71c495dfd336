# The initramfs of the guest and of its crash kernel, and the two programs of the guest.

compile_guest() {
    local folder=$1
    gcc -O1 -g -Wall -Wextra -static -pthread -o "$folder/crowd" "$here"/guest/{crowd,waiting,memory,odd}.c
    gcc -O1 -g -Wall -Wextra -static -o "$folder/record" "$here"/guest/{record,archive}.c
}

# add_program ROOT PROGRAM: with the libraries it is linked to.
add_program() {
    local root=$1 program=$2 library
    mkdir -p "$root/bin"
    cp -L "$program" "$root/bin/"
    for library in $(ldd "$program" | grep -o '/[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
}

# add_modules ROOT FROM VERSION LIST: the modules that the LIST file names, and those they need, unpacked, for modprobe.
add_modules() {
    local root=$1 from=$2 version=$3 list=$4 module file plain target=$1/lib/modules/$3
    mkdir -p "$target" "$root/etc"
    cp "$list" "$root/etc/modules"
    while read -r module _; do
        modprobe -d "$from" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" {print $2}'
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

# guest_initramfs FROM VERSION: $work/guest.gz. The crash kernel's parts are on the guest's disk.
guest_initramfs() {
    local root=$work/guest-root
    mkdir -p "$root/bin" "$root/etc"
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$here/guest/init" "$root/init"
    compile_guest "$root/bin"
    add_program "$root" /sbin/kexec
    printf '%s\n' "${guest_modules[@]}" > "$work/guest-modules"
    add_modules "$root" "$1" "$2" "$work/guest-modules"
    pack "$root" "$work/guest.gz"
}

# capture_initramfs FROM VERSION: $work/capture.gz.
capture_initramfs() {
    local root=$work/capture-root
    mkdir -p "$root/bin" "$root/etc"
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$here/guest/capture-init" "$root/init"
    add_program "$root" /usr/bin/makedumpfile
    newer_makedumpfile "$root/new"
    printf '%s\n' "${capture_modules[@]}" > "$work/capture-modules"
    add_modules "$root" "$1" "$2" "$work/capture-modules"
    pack "$root" "$work/capture.gz"
}
