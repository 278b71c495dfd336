# Debian packages: the tools on this machine, the kernel and its debug files, the newer makedumpfile.

tools="qemu-system-x86 seabios ipxe-qemu busybox-static kexec-tools makedumpfile gcc libc6-dev xz-utils zstd
    e2fsprogs util-linux cpio kmod"

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
    install_packages $tools
}

# newest_kernel PATTERN: the newest kernel image package whose name matches and whose debug package is there in the same
# version. Each call of apt-cache may read all lists anew, so there are only two.
newest_kernel() {
    local images
    images=$(apt-cache pkgnames linux-image- | grep -E "$1" | sort -rV) || return 1
    # shellcheck disable=SC2086
    apt-cache policy $images $(printf '%s-dbg ' $images) | awk -v wanted="$images" '
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
    apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v "(none)" || true
}

# download FOLDER PACKAGE...: the .deb files as apt finds them.
download() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && apt-get "${apt_options[@]}" download "$@" > /dev/null 2>&1) || die "cannot download $*"
}
apt_options=(-o APT::Sandbox::User=root)

# unpack_deb DEB FOLDER [PATTERN...]: only what matches; the debug package is 5 GB unpacked.
unpack_deb() {
    local deb=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    dpkg --fsys-tarfile "$deb" | tar x -C "$folder" --wildcards "$@"
}

# Bookworm's makedumpfile knows neither zstd nor newer kernels. Sid's goes into FOLDER with its loader and libraries,
# by an apt of its own, so that this machine's lists stay as they are.
newer_makedumpfile() {
    local folder=$1 state=$work/sid uri deb
    uri=$(apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT)' 'Created-By: Packages' |
        sed -n 's/ Debian main$//p' | head -n 1)
    [ -n "$uri" ] || die "no Debian mirror in apt's sources"
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$folder"
    touch "$state/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" > "$state/sources.list"
    local apt_options=(-o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
        -o "Dir::Cache=$state/cache" -o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
    apt-get "${apt_options[@]}" update > /dev/null || die "cannot read sid's package lists"
    download "$state/debs" makedumpfile libc6 libdw1t64 libelf1t64 liblzo2-2 libzstd1 zlib1g libbz2-1.0 liblzma5
    for deb in "$state"/debs/*.deb; do
        unpack_deb "$deb" "$state/root" '*/makedumpfile' '*/lib/x86_64-linux-gnu/*.so*' 2>/dev/null || true
    done
    # Only the loader and what the program asks for.
    local libraries loader needed
    libraries=$(find "$state/root" -type d -name x86_64-linux-gnu | tr '\n' ':')
    loader=$(find "$state/root" -name 'ld-linux-x86-64.so.2' | head -n 1)
    needed=$("$loader" --library-path "$libraries" --list "$state/root/usr/bin/makedumpfile" | awk '$2 == "=>" {print $3}')
    # shellcheck disable=SC2086
    cp -L $needed "$state/root/usr/bin/makedumpfile" "$folder/"
    cp -L "$loader" "$folder/ld.so"
}
