# Where samples live, when they are current, and how to speak.

say() {
    echo "make: $*" >&2
}

die() {
    say "$@"
    exit 1
}

sample_folder() {
    echo "${KCRASH_SAMPLES:-${XDG_CACHE_HOME:-$HOME/.cache}/kcrash/samples}/$1"
}

# What a sample was made from: its recipe, everything the recipe uses, and the version of the kernel package.
sample_key() {
    local name=$1 version
    version=$(package_version || true)
    echo "$(cd "$here" && find make "recipes/$name" lib guest -type f | sort | xargs cat | sha256sum | cut -c1-32) ${version:-unknown}"
}

# Without package lists the version is unknown: then a sample of the same recipe is good whatever its version.
is_current() {
    local target=$1 key=$2 had
    [ -r "$target/KEY" ] || return 1
    had=$(cat "$target/KEY")
    [ "$had" = "$key" ] || { [ "${key#* }" = unknown ] && [ "${had%% *}" = "${key%% *}" ]; }
}

# Each recipe may say what else is to be done with a finished sample.
finish_sample() {
    :
}
