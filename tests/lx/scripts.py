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
import tempfile

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


def installed_package(series):
    """(version, tarball, its md5 as the package says it), or None."""
    tarball = pathlib.Path(f"/usr/src/{package_of(series)}.tar.xz")
    sums = pathlib.Path(f"/var/lib/dpkg/info/{package_of(series)}.md5sums")
    if not tarball.exists() or not sums.exists():
        return None
    version = run(["dpkg-query", "-W", "-f", "${Version}", package_of(series)])
    return version, tarball, next(line.split()[0] for line in sums.read_text().splitlines() if line.endswith(tarball.name))


def downloaded(name):
    """The package's file, from the mirror, kept in the cache folder."""
    folder = cache() / "package"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{name}_*.deb")):
        run(["apt-get", "-o", "DPkg::Lock::Timeout=600", "download", name], cwd=folder, timeout=1800)
    return sorted(folder.glob(f"{name}_*.deb"))[-1]


def downloaded_package(series):
    """The same, without installing it."""
    package, folder = downloaded(package_of(series)), cache() / "package"
    version = run(["dpkg-deb", "-f", str(package), "Version"]).strip()
    tarball = folder / f"usr/src/{package_of(series)}.tar.xz"
    if not tarball.exists():
        run(["dpkg-deb", "-x", str(package), str(folder)])
    run(["dpkg-deb", "-e", str(package), str(folder / "control")])
    sums = (folder / "control/md5sums").read_text().splitlines()
    return version, tarball, next(line.split()[0] for line in sums if line.endswith(tarball.name))


def extract(series, machine, tarball, tree):
    beside = tree.with_name("tree.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    patterns = [pattern if pattern.startswith("*") else f"{package_of(series)}/{pattern}" for pattern in (wanted.replace("{machine}", machine) for wanted in WANTED)]
    run(["tar", "-xf", str(tarball), "-C", str(beside), "--strip-components=1", "--wildcards", *patterns], timeout=1800)
    beside.rename(tree)


def scripts_of(tree):
    return {str(path.relative_to(tree)): digest(path) for path in sorted((tree / "scripts/gdb").rglob("*")) if path.is_file()}


def source_version(series):
    return (installed_package(series) or downloaded_package(series))[0]


def source_tree(series, machine):
    """(version, the tree, how many scripts were found to be the package's own)."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Unavailable(f"not installed: {' '.join(missing)}")
    version, tarball, md5 = installed_package(series) or downloaded_package(series)
    folder = cache() / (version if machine == "x86" else f"{version}-{machine}")
    tree, sums = folder / "tree", folder / "SHA256SUMS"
    if not sums.exists():
        if digest(tarball, "md5") != md5:
            raise Unavailable(f"{tarball} is not what the package {package_of(series)} {version} holds")
        shutil.rmtree(tree, ignore_errors=True)
        extract(series, machine, tarball, tree)
        sums.write_text("".join(f"{value}  {name}\n" for name, value in scripts_of(tree).items()))
    known = {line[66:]: line[:64] for line in sums.read_text().splitlines()}
    if scripts_of(tree) != known:
        raise Unavailable(f"{tree}/scripts/gdb was changed since it was extracted; remove {folder}")
    return version, tree, len(known)


def debian_config(series, release):
    """Debian's configuration of that kernel, which must be of the source's version."""
    package = downloaded(f"linux-image-{release}")
    version, source = run(["dpkg-deb", "-f", str(package), "Version"]).strip(), source_version(series)
    if version != source:
        raise Unavailable(f"{release} is of {version}, and {package_of(series)} is {source}")
    config = cache() / version / f"config-{release}"
    config.parent.mkdir(parents=True, exist_ok=True)
    if not config.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            run(["dpkg-deb", "-x", str(package), folder])
            shutil.copy(f"{folder}/boot/config-{release}", config)
    return config


def prepare(series, machine, name, config, small):
    """A folder with vmlinux-gdb.py and scripts/gdb for this configuration. small: the file is only what differs from allnoconfig."""
    tree = source_tree(series, machine)[1]
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
