#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One death in every way in which QEMU writes it, and dumps that are packed, behind NBD, or on a block device.

    tests/formats/run.py

The samples formats-6.1 and formats-6.1-newer-qemu have the memory of a stopped guest as QEMU's pmemsave wrote it: the truth for every other file of that moment, page
by page. What kcrash says of one is compared with what it says of QEMU's own ELF dump. Uses nbdkit, debuginfod and loop devices where they
are; without them those tests are skipped and counted.
"""
import gzip
import http.server
import json
import lzma
import os
import pathlib
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import kcrash as tool  # noqa: E402
from seen import Seen  # noqa: E402

COMMANDS = ["ps", "log", "bt -a", "kmem -i", "mod", "foreach bt"]


def samples():
    cache = os.environ.get("XDG_CACHE_HOME", str(pathlib.Path.home() / ".cache"))
    return pathlib.Path(os.environ.get("KCRASH_SAMPLES", cache + "/kcrash/samples"))


class Suite:
    def __init__(self, options, count):
        self.options, self.count, self.home = options, count, tool.Home()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kcrash-formats-"))
        self.compare_tool = options.kcrash.parent / "dump_compare"

    def say(self, dump, commands=tuple(COMMANDS)):
        """What the commands print, and what went wrong."""
        result = tool.run(self.options.kcrash, [str(dump), "-s", "--no-cache"], self.home, "\n".join(commands) + "\n", 300)
        return result.stdout, result.stderr

    def identity(self, dump):
        result = tool.run(self.options.kcrash, ["--json", "--identify", str(dump)], self.home)
        return tool.documents(result.stdout)[0], result

    def same_pages(self, what, truth, other):
        """Every page that the other has is the truth's; and it has at least as many as are zero or not."""
        result = subprocess.run([self.compare_tool, truth, other], capture_output=True, text=True, timeout=300)
        self.count.check(result.returncode == 0 and "identical" in result.stdout, f"{what}: the pages are those of pmemsave",
                         result.stdout[-600:] + result.stderr[-600:])

    def qemu(self, sample):
        raw = f"{sample / 'raw'}@0"
        lime = self.folder / "lime"
        size = (sample / "raw").stat().st_size
        with open(lime, "wb") as out, open(sample / "raw", "rb") as memory:
            # As /proc/iomem has it: conventional memory, and the rest from the first megabyte on.
            for begin, end in ((0x1000, 0x9f000), (0x100000, size)):
                out.write(struct.pack("<4sIQQQ", b"EMiL", 1, begin, end - 1, 0))
                memory.seek(begin)
                shutil.copyfileobj(iter_part(memory, end - begin), out, 1 << 20)
        saved = self.folder / "saved"
        xml = b"<domain type='qemu'/>" + bytes(1000)
        with open(saved, "wb") as out, open(sample / "stream", "rb") as stream:
            out.write(b"LibvirtQemudSave" + struct.pack("<5I", 2, len(xml), 1, 0, 0) + bytes(56) + xml)
            shutil.copyfileobj(stream, out, 1 << 20)
        expected, errors = self.say(sample / "dump.elf")
        self.count.check("swapper/0" in expected and "delay_tsc" in expected, "QEMU's ELF dump answers", errors)
        seen, failed = Seen(sample.name), self.count.failed
        release = self.identity(sample / "dump.elf")[0]["items"][0]["release"]
        for name, dump, kind, registers in (("QEMU's stream", sample / "stream", "QEMU migration stream", True),
                                            ("QEMU's mapped-ram", sample / "mapped", "QEMU migration stream", True),
                                            ("savevm in a disk image", sample / "state.qcow2", "QEMU savevm (qcow2)", True),
                                            ("libvirt's save file", saved, "libvirt save file", True),
                                            ("dump-guest-memory with paging", sample / "paging.elf", "ELF", True),
                                            ("LiME", lime, "LiME", False), ("raw memory", raw, "raw memory", False)):
            if sample.name == "formats-6.1" and str(dump).endswith(("mapped", "qcow2")):
                continue  # QEMU 7.2 has no mapped-ram, and this recipe no snapshot
            document, result = self.identity(dump)
            facts = document["items"][0]
            self.count.check(facts["format"] == kind and facts["release"] == release and facts["architecture"] == "x86_64", f"--identify of {name}",
                             result.stdout + result.stderr)
            # Behind a video card's window, from 0xa0000 to 0xbffff, a stream has the memory and pmemsave the card.
            self.same_pages(name, str(lime) if dump in (saved, sample / "stream", sample / "mapped", sample / "state.qcow2") else raw, str(dump))
            if registers:
                self.count.check(self.say(dump)[0] == expected, f"{name}: the commands say what they say of QEMU's ELF dump", self.say(dump)[1])
            else:
                commands = [c for c in COMMANDS if "bt" not in c]
                self.count.check(self.say(dump, commands)[0] == self.say(sample / "dump.elf", commands)[0], f"{name}: the commands say the same", "")
            if self.count.failed == failed:
                seen.record(kind, "x86_64", "rewritten" if dump in (lime, saved) else "real")

    def packed(self, dump):
        expected = self.say(dump)[0]
        plain = dump.read_bytes()
        zipped, packed = self.folder / "vmcore.gz", self.folder / "vmcore.xz"
        zipped.write_bytes(gzip.compress(plain, 1))
        run = subprocess.run(["xz", "-0", "--block-size=1MiB", "-c", dump], capture_output=True, check=True)
        packed.write_bytes(run.stdout)
        for file in (zipped, packed):
            self.count.check(self.say(file)[0] == expected, f"{file.suffix}: the commands say the same", self.say(file)[1])
            inside, facts = self.identity(dump)[0]["items"][0], self.identity(file)[0]["items"][0]
            same = ("release", "build_id", "architecture", "memory_bytes", "page_size", "dump_level", "partial", "incomplete")
            self.count.check(all(inside[key] == facts[key] for key in same), f"{file.suffix}: --identify says the same", str(facts))
            self.count.check(facts["truncated"] is (None if file == zipped else False), f"{file.suffix}: whether its end was seen", str(facts))
        one = self.folder / "one.xz"
        one.write_bytes(lzma.compress(plain, preset=0))
        self.count.check(self.say(one)[0] == expected, "an xz of one small block", self.say(one)[1])

    def nbd(self, dump):
        if not shutil.which("nbdkit"):
            return self.count.skip("nbdkit is not here")
        place, pid = self.folder / "nbd.sock", self.folder / "nbd.pid"
        uri = f"nbd+unix:///?socket={place}"
        subprocess.run(["nbdkit", "-r", "-U", place, "--pidfile", pid, "--filter=xz", "file", self.folder / "vmcore.xz"], check=True)
        try:
            for _ in range(50):
                if pid.exists():
                    break
                time.sleep(0.2)
            self.count.check(self.say(uri)[0] == self.say(dump)[0], "NBD, through nbdkit's xz filter: the commands say the same", self.say(uri)[1])
            facts = self.identity(uri)[0]["items"][0]
            self.count.check(0 < facts["fetched"] < facts["bytes"] and facts["bytes"] == dump.stat().st_size, "only what is touched is fetched", str(facts))
            banner = tool.run(self.options.kcrash, [uri, "--no-cache"], self.home, "exit\n")
            self.count.check("     FETCHED: " in banner.stdout, "the banner says how much was fetched", banner.stdout[:800])
        finally:
            os.kill(int(pid.read_text()), 15)
        time.sleep(1)
        gone = tool.run(self.options.kcrash, [uri], self.home)
        self.count.check(gone.returncode == 1 and uri in gone.stderr, "a server that is not there", gone.stderr)

    def kernel_line(self, dump, *words):
        """The vmlinux that was chosen when none was given."""
        result = tool.run(self.options.kcrash, [str(dump), "-s", "--no-cache", "-C", "sys", *map(str, words)], self.home, timeout=300)
        lines = [line for line in result.stdout.splitlines() if "KERNEL: " in line]
        return lines[0].split("KERNEL: ")[1].split("  [")[0] if lines else result.stderr

    def module_file(self, dump, name, *words):
        """The object file that "mod -s" took, and what it said."""
        result = tool.run(self.options.kcrash, ["--json", "-s", "--no-cache", str(dump), *map(str, words)], self.home, f"mod -s {name}\n", 300)
        document = tool.documents(result.stdout)[0]
        return next((i["object_file"] for i in document["items"] if "object_file" in i), ""), json.dumps(document) if not document.get("errors") else "\n".join(map(str, document["errors"]))

    def code_line(self, vmlinux, dump):
        """The file and line where do_exit() begins; nothing when they are not known."""
        result = tool.run(self.options.kcrash, [str(vmlinux), str(dump), "-s", "--no-cache"], self.home, "sym do_exit\n", 300)
        found = re.search(r"\(T\) do_exit +(\S+: \d+)", result.stdout)
        return found and found[1]

    def nbd_over_http(self, dump):
        """A dump on a web server, through nbdkit's curl plugin."""
        if not shutil.which("nbdkit") or subprocess.run(["nbdkit", "--dump-plugin", "curl"], capture_output=True).returncode != 0:
            return self.count.skip("nbdkit's curl plugin is not here")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (RangeHandler,), {"content": dump.read_bytes()}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            self.behind_nbdkit("HTTP", dump, "curl", f"url=http://127.0.0.1:{server.server_port}/vmcore")
        finally:
            server.shutdown()

    def nbd_over_ssh(self, dump):
        """A dump on a machine behind SSH, through nbdkit's ssh plugin: an sshd of our own on loopback, with keys of its own."""
        sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
        if not sshd or not shutil.which("nbdkit") or subprocess.run(["nbdkit", "--dump-plugin", "ssh"], capture_output=True).returncode != 0:
            return self.count.skip("sshd or nbdkit's ssh plugin is not here")
        place = self.folder / "ssh"
        place.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd's own, for its unprivileged half
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (place / "config").write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/user.pub\n"
                                      "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n")
        (place / "known").write_text(f"[127.0.0.1]:{port} {(place / 'host.pub').read_text()}")
        server = subprocess.Popen([sshd, "-D", "-e", "-f", place / "config"], stderr=open(place / "log", "w"))
        try:
            for _ in range(50):
                with socket.socket() as there:
                    if there.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            self.behind_nbdkit("SSH", dump, "ssh", "host=127.0.0.1", f"port={port}", f"user={pwd.getpwuid(os.geteuid()).pw_name}",
                               f"path={dump.resolve()}", f"identity={place}/user", f"known-hosts={place}/known")
        finally:
            server.terminate()
            server.wait()

    def behind_nbdkit(self, name, dump, *plugin):
        """What the commands say of the dump is what they say of it through nbdkit, and not all of it is fetched."""
        place, pid = self.folder / f"{name}.sock", self.folder / f"{name}.pid"
        uri = f"nbd+unix:///?socket={place}"
        subprocess.run(["nbdkit", "-r", "-U", place, "--pidfile", pid, *plugin], check=True)
        try:
            for _ in range(50):
                if pid.exists():
                    break
                time.sleep(0.2)
            self.count.check(self.say(uri)[0] == self.say(dump)[0],
                             f"NBD, through nbdkit's {plugin[0]} plugin: the commands say the same", self.say(uri)[1])
            facts = self.identity(uri)[0]["items"][0]
            self.count.check(0 < facts["fetched"] < facts["bytes"] and facts["bytes"] == dump.stat().st_size,
                             f"over {name} only what is touched is fetched", str(facts))
        finally:
            os.kill(int(pid.read_text()), 15)

    def debug_files(self, sample):
        """vmlinux by its build-id: next to the dump, in --debug-dir, from a real debuginfod on loopback."""
        place, away, cache = self.folder / "debug", self.folder / "away", self.folder / "fetched"
        for folder in (place, away):
            folder.mkdir()
        self.home.environment.pop("DEBUGINFOD_URLS", None)
        vmcore = place / "vmcore"
        shutil.copy(sample.dump, vmcore)
        own = "(the dump's own symbols and types)"
        self.count.check(self.kernel_line(vmcore) == own, "no vmlinux lies anywhere", self.kernel_line(vmcore))
        (place / "vmlinux").write_bytes(pathlib.Path("/bin/true").read_bytes())
        self.count.check(self.kernel_line(vmcore) == own, "another build-id never matches", self.kernel_line(vmcore))
        with lzma.open(sample.vmlinux) as packed, open(place / "vmlinux", "wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
        self.count.check(self.kernel_line(vmcore) == str(place / "vmlinux"), "vmlinux next to the dump", self.kernel_line(vmcore))
        build_id = tool.run(self.options.kcrash, ["--build-id", str(vmcore)], self.home).stdout.strip()
        by_id = away / ".build-id" / build_id[:2] / (build_id[2:] + ".debug")
        by_id.parent.mkdir(parents=True)
        (place / "vmlinux").rename(by_id)
        self.count.check(self.kernel_line(vmcore, "--debug-dir", away) == str(by_id), "--debug-dir by build-id", self.kernel_line(vmcore, "--debug-dir", away))
        name, stripped = "virtio_net", place / "stripped"
        subprocess.run(["objcopy", "--strip-debug", by_id, stripped], check=True)
        file, said = self.module_file(vmcore, name)
        parts = (f"{place}/.build-id/", f"{place}/{name}.ko*", f"/usr/lib/debug/lib/modules/", "debuginfod (DEBUGINFOD_URLS is not set)", "\non Debian: apt install ")
        self.count.check(not file and all(part in said for part in parts), "a module's file lies nowhere: the places and the package", f"{file} {said}")
        file, said = self.module_file(vmcore, name, "--mod", sample.modules)
        self.count.check(file == str(sample.modules / f"{name}.ko"), "a module's file in --mod", f"{file} {said}")
        shutil.copy(sample.modules / f"{name}.ko", place)
        file, said = self.module_file(vmcore, name)
        self.count.check(file == str(place / f"{name}.ko"), "a module's file beside the dump", f"{file} {said}")
        (place / f"{name}.ko").rename(away / f"{name}.ko")
        line = self.code_line(stripped, vmcore)
        self.count.check(line is None, "a vmlinux without DWARF knows no lines", str(line))
        if not shutil.which("debuginfod"):
            return self.count.skip("debuginfod is not here")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.home.environment.update(DEBUGINFOD_URLS=f"http://127.0.0.1:{port}", DEBUGINFOD_CACHE_PATH=str(cache))
        with open(self.folder / "debuginfod.log", "w") as log:
            server = subprocess.Popen(["debuginfod", "-F", "-p", str(port), "-d", ":memory:", str(away)], stdout=log, stderr=log)
        try:
            deadline = time.time() + 90
            while (line := self.kernel_line(vmcore)) == own and time.time() < deadline:
                shutil.rmtree(cache, ignore_errors=True)  # it remembers what was not found
                time.sleep(3)
            self.count.check(line.startswith(str(cache)) and build_id in line, "debuginfod", line + (self.folder / "debuginfod.log").read_text()[-1000:])
            file, said = self.module_file(vmcore, name)
            self.count.check(file.startswith(str(cache)) and file.endswith("/debuginfo"), "debuginfod has a module's file", f"{file} {said}")
            file, said = self.module_file(vmcore, "loop")
            self.count.check(not file and f"debuginfod (http://127.0.0.1:{port}: " in said, "debuginfod has not the other's", f"{file} {said}")
            line, whole = self.code_line(stripped, vmcore), self.code_line(by_id, vmcore)
            self.count.check(line is not None and line == whole, "debuginfod has the debug half of a vmlinux without DWARF", f"{line} {whole}")
        finally:
            server.terminate()
            server.wait()
        self.home.environment.pop("DEBUGINFOD_URLS")

    def block_device(self, dump):
        """A partition that kdump wrote to: larger than the dump, with old bytes behind it."""
        disk = self.folder / "disk"
        disk.write_bytes(dump.read_bytes() + b"\xa5" * (1 << 20))
        os.truncate(disk, disk.stat().st_size // 4096 * 4096)
        found = subprocess.run(["losetup", "-r", "-f", "--show", disk], capture_output=True, text=True)
        if found.returncode != 0:
            return self.count.skip(f"no loop device: {found.stderr.strip()}")
        device = found.stdout.strip()
        try:
            self.count.check(self.say(device)[0] == self.say(dump)[0], "a block device: the commands say the same", self.say(device)[1])
        finally:
            subprocess.run(["losetup", "-d", device], check=False)


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """One file, any range of it."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self):
        begin, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        end = min(end, len(self.content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(self.content)}")
        self.send_header("Content-Length", str(end + 1 - begin))
        self.end_headers()
        self.wfile.write(self.content[begin:end + 1])

    def log_message(self, *_):
        pass


def iter_part(file, size):
    """The next bytes of a file, as a file."""
    class Part:
        left = size

        def read(self, n):
            data = file.read(min(n, self.left))
            self.left -= len(data)
            return data
    return Part()


def main():
    options = tool.parser(__doc__.splitlines()[0]).parse_args()
    count = tool.Count("formats")
    suite = Suite(options, count)
    for name in ("formats-6.1", "formats-6.1-newer-qemu"):
        if (samples() / name / "KEY").exists():
            suite.qemu(samples() / name)
        else:
            count.skip(f"{name} was not made: vmcore-samples/make {name}")
    committed = tool.committed_sample()
    if committed:
        suite.packed(committed.dump)
        suite.nbd(committed.dump)
        suite.nbd_over_http(committed.dump)
        suite.nbd_over_ssh(committed.dump)
        suite.block_device(committed.dump)
        suite.debug_files(committed)
    else:
        count.skip("the committed sample is not here")
    shutil.rmtree(suite.folder)
    count.finish()


if __name__ == "__main__":
    main()
