# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own scripts/gdb, from Debian's source package, as they stand: prepare() makes a folder that GDB can source.

In ${XDG_CACHE_HOME:-~/.cache}/kcrash/lx/VERSION: the part of the source tree that its Makefiles need, SHA256SUMS of the scripts, and
for each configuration a build folder with links to the scripts and constants.py, which no distribution ships: the kernel's own
rule makes it from constants.py.in, the headers and the configuration.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "vmcore-samples/make"
TOOLS = ("make", "gcc", "bc", "bison", "flex", "xz", "dpkg-deb")
# What "make scripts_gdb" reads. All sources of drivers would be ten times as much.
WANTED = ["*/Kconfig*", "*/Kbuild*", "*/Makefile*", "scripts/*", "include/*", "arch/{machine}/*", "kernel/bounds.c", "kernel/time/timeconst.bc",
          "tools/include/*", "tools/scripts/*", "tools/arch/{machine}/*", "usr/include/*"]
MACHINES = {"x86": ["ARCH=x86_64"], "arm64": ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"]}
# They need keys and libraries to build, and change nothing of constants.py.
UNWANTED = ["MODULE_SIG", "SECURITY_SELINUX", "SECURITY_LOCKDOWN_LSM", "SYSTEM_TRUSTED_KEYRING", "GCC_PLUGINS", "DEBUG_INFO_BTF"]


class Unavailable(Exception):
    """Why there are no scripts on this machine: the suite is skipped."""


def run(words, **more):
    try:
        result = subprocess.run(words, capture_output=True, text=True, errors="replace", **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error))
    if result.returncode:
        raise Unavailable(f"{' '.join(map(str, words[:4]))}: {(result.stderr or result.stdout).strip()[-500:]}")
    return result.stdout


def digest(path, kind="sha256"):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kcrash/lx"


def package_of(series):
    return f"linux-source-{series}"


class Source:
    """linux-source-SERIES of one version: (version, tarball, its md5 as the package says it). sample: the made one whose release and version are
    asked for; None: what is installed, or what this machine's mirror has."""

    def __init__(self, series, sample=None, version=None):
        name = package_of(series)
        at = pathlib.Path("/var/lib/dpkg/info")
        self.tarball, sums = pathlib.Path(f"/usr/src/{name}.tar.xz"), at / f"{name}.md5sums"
        self.version = run(["dpkg-query", "-W", "-f", "${Version}", name]) if self.tarball.exists() and sums.exists() else None
        if not self.version or (version and version != self.version):
            folder = cache() / "package" / (version or series)
            package = downloaded(folder, name, sample, version)
            self.version = run(["dpkg-deb", "-f", str(package), "Version"]).strip()
            self.tarball = folder / f"usr/src/{name}.tar.xz"
            if not self.tarball.exists():
                run(["dpkg-deb", "-x", str(package), str(folder)], timeout=600)
            run(["dpkg-deb", "-e", str(package), str(folder / "control")])
            sums = folder / "control/md5sums"
        self.md5 = next(line.split()[0] for line in sums.read_text().splitlines() if line.endswith(self.tarball.name))


def downloaded(folder, name, sample, version):
    """The package's file, kept in the cache folder: from where the sample's own come, or from this machine's mirror."""
    if not list(folder.glob(f"{name}_*.deb")):
        beside = folder.with_name(folder.name + ".new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        wanted = f"{name}={version}" if version else name
        fetch = [str(SAMPLES), "fetch", sample, str(beside), wanted] if sample else ["apt-get", "-o", "DPkg::Lock::Timeout=600", "download", wanted]
        run(fetch, cwd=beside, timeout=1800)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    return sorted(folder.glob(f"{name}_*.deb"))[-1]


def extract(series, machine, tarball, tree):
    beside = tree.with_name("tree.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    patterns = [pattern if pattern.startswith("*") else f"{package_of(series)}/{pattern}" for pattern in (wanted.replace("{machine}", machine) for wanted in WANTED)]
    run(["tar", "-xf", str(tarball), "-C", str(beside), "--strip-components=1", "--wildcards", *patterns], timeout=1800)
    beside.rename(tree)


def scripts_of(tree):
    return {str(path.relative_to(tree)): digest(path) for path in sorted((tree / "scripts/gdb").rglob("*")) if path.is_file()}


def source_tree(series, machine, sample=None, version=None):
    """(version, the tree, how many scripts were found to be the package's own)."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Unavailable(f"not installed: {' '.join(missing)}")
    source = Source(series, sample, version)
    folder = cache() / (source.version if machine == "x86" else f"{source.version}-{machine}")
    tree, sums = folder / "tree", folder / "SHA256SUMS"
    if not sums.exists():
        if digest(source.tarball, "md5") != source.md5:
            shutil.rmtree(cache() / "package" / (version or series), ignore_errors=True)
            raise Unavailable(f"{source.tarball} is not what the package {package_of(series)} {source.version} holds")
        shutil.rmtree(tree, ignore_errors=True)
        extract(series, machine, source.tarball, tree)
        sums.write_text("".join(f"{value}  {name}\n" for name, value in scripts_of(tree).items()))
    known = {line[66:]: line[:64] for line in sums.read_text().splitlines()}
    if scripts_of(tree) != known:
        raise Unavailable(f"{tree}/scripts/gdb was changed since it was extracted; remove {folder}")
    return source.version, tree, len(known)


def prepare(machine, tree, name, config, small):
    """A folder with vmlinux-gdb.py and scripts/gdb for this configuration. small: the file is only what differs from allnoconfig."""
    out = tree.parent / f"{name}-{digest(config)[:12]}"
    constants = out / "scripts/gdb/linux/constants.py"
    if (out / "DONE").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    make = ["make", "-s", "-C", str(tree), f"O={out}", *MACHINES[machine]]
    if small:
        run([*make, f"KCONFIG_ALLCONFIG={config}", "allnoconfig"])
    else:
        shutil.copy(config, out / ".config")
    run([str(tree / "scripts/config"), "--file", str(out / ".config"), *(word for option in UNWANTED for word in ("-d", option))])
    run([*make, "olddefconfig"])
    run([*make, "-j2", "scripts_gdb"], timeout=1800)
    if not constants.exists() or not (out / "vmlinux-gdb.py").exists():
        raise Unavailable(f"{out}: the kernel's Makefile made no constants.py")
    (out / "DONE").touch()
    return out
