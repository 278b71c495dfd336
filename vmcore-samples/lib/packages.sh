# Debian packages: the tools on this machine, the kernel and its debug files, the newer makedumpfile.

tools="busybox-static kexec-tools makedumpfile binutils xz-utils zstd e2fsprogs util-linux cpio kmod"

install_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=600 update > /dev/null
    apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" > /dev/null
}

install_tools() {
    # shellcheck disable=SC2086
    install_packages $tools $machine_packages
}

# use_packages [SUITES]: sets apt_options, where packages come from. This machine's own architecture and suites: its own
# apt. Others: an apt of our own beside it, from the same mirrors, in the cache folder, so that this machine's lists stay
# as they are.
use_packages() {
    local suites=${1:-} state
    apt_options=(-o APT::Sandbox::User=root)
    [ "$arch" != "$(dpkg --print-architecture)" ] || [ -n "$suites" ] || return 0
    state=${XDG_CACHE_HOME:-$HOME/.cache}/kcrash/apt/$arch${suites:+-${suites// /-}}
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    touch "$state/status"
    debian_sources "$suites" > "$state/sources.list"
    [ -s "$state/sources.list" ] || die "no Debian mirror in apt's sources"
    apt_options+=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$state" -o "Dir::State::lists=$state/lists"
        -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache" -o "Dir::Etc::SourceList=$state/sources.list"
        -o Dir::Etc::SourceParts=/dev/null)
}

# Lines for a sources.list: this machine's mirrors of Debian, with these suites or its own.
debian_sources() {
    local label uri suite one
    apt-get indextargets --format '$(LABEL) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sed -n 's/ main$//p' | while read -r label uri suite; do
            case $label in
            Debian) for one in ${1:-$suite}; do echo "deb [signed-by=$debian_keys] $uri $one main"; done ;;
            Debian-Security) [ -n "$1" ] || echo "deb [signed-by=$debian_keys] $uri $suite main" ;;
            esac
        done | sort -u
}
debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

refresh_packages() {
    apt-get "${apt_options[@]}" -o DPkg::Lock::Timeout=600 update > /dev/null
}

# newest_kernel PATTERN: the newest kernel image package whose name matches and whose debug package is there in the same
# version. Each call of apt-cache may read all lists anew, so there are only two.
newest_kernel() {
    local images
    images=$(apt-cache "${apt_options[@]}" pkgnames linux-image- | grep -E "$1" | sort -rV) || return 1
    # shellcheck disable=SC2086
    apt-cache "${apt_options[@]}" policy $images $(printf '%s-dbg ' $images) | awk -v wanted="$images" '
        /^[^ ]/ { name = $1; sub(/:$/, "", name) }
        /^  Candidate: [^(]/ { version[name] = $2 }
        END {
            count = split(wanted, image, "\n")
            for (i = 1; i <= count; i++)
                if (version[image[i]] != "" && version[image[i]] == version[image[i] "-dbg"]) {
                    print image[i], version[image[i]]
                    exit
                }
            exit 1
        }'
}

candidate() {
    apt-cache "${apt_options[@]}" policy "$1" | sed -n 's/^  Candidate: //p' | grep -v "(none)" || true
}

# download FOLDER PACKAGE...: the .deb files as apt finds them.
download() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && apt-get "${apt_options[@]}" download "$@" > /dev/null 2>&1) || die "cannot download $*"
}

# unpack_deb DEB FOLDER [PATTERN...]: only what matches; the debug package is 5 GB unpacked.
unpack_deb() {
    local deb=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    dpkg --fsys-tarfile "$deb" | tar x -C "$folder" --wildcards "$@"
}

# with_libraries PACKAGE...: these and the packages of libraries that they depend on.
with_libraries() {
    apt-get "${apt_options[@]}" -s --no-install-recommends install "$@" 2>/dev/null |
        awk -v wanted=" $* " '$1 == "Inst" && (index(wanted, " " $2 " ") || ($2 ~ /^(lib|zlib)/ && $2 !~ /perl/)) {print $2}'
}

# unpack_programs FOLDER PACKAGE...: the programs and libraries of these packages, for a guest.
unpack_programs() {
    local folder=$1 deb
    shift
    download "$folder/debs" "$@"
    for deb in "$folder"/debs/*.deb; do
        unpack_deb "$deb" "$folder" '*/bin/*' '*/sbin/*' '*/lib/*.so*' 2>/dev/null || true
    done
}

# needed_libraries FOLDER PROGRAM: the loader that the program asks for and all libraries, found in FOLDER. Works on programs of
# any architecture.
needed_libraries() {
    local folder=$1 todo=("$2") seen=" " file name found
    readelf -lW "$2" | sed -n 's/.*interpreter: \(.*\)]$/\1/p' | sed 's,.*/,,' > "$work/needed"
    while [ ${#todo[@]} -gt 0 ]; do
        file=${todo[0]}
        todo=("${todo[@]:1}")
        for name in $(readelf -dW "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p') $(cat "$work/needed"); do
            case $seen in *" $name "*) continue ;; esac
            seen+="$name "
            found=$(find "$folder/lib" "$folder/lib64" "$folder/usr/lib" -path '*/mips*' -prune -o -name "$name" -print 2>/dev/null | head -n 1)
            [ -n "$found" ] || {
                say "$2 needs $name, which is not in $folder"
                return 1
            }
            echo "$found"
            todo+=("$found")
        done
    done
}

# Bookworm's makedumpfile knows neither zstd nor newer kernels. Sid's goes into FOLDER with its loader and libraries.
newer_makedumpfile() {
    local folder=$1 sid=$work/sid apt_options library libraries
    use_packages sid
    refresh_packages || die "cannot read sid's package lists"
    mkdir -p "$folder"
    # shellcheck disable=SC2046
    unpack_programs "$sid" $(with_libraries makedumpfile)
    libraries=$(needed_libraries "$sid" "$sid/usr/bin/makedumpfile")
    for library in $libraries; do
        case $library in
        */ld-linux* | */ld64* | */ld-*) cp -L "$library" "$folder/ld.so" ;;
        *) cp -L "$library" "$folder/" ;;
        esac
    done
    cp "$sid/usr/bin/makedumpfile" "$folder/"
}
