# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits a kdump-compressed file in place: leaves a page out, or puts other bytes into it.

    block 0       disk_dump_header: signature "KDUMP   ", version, utsname, ..., block_size, sub_hdr_size, bitmap_blocks, max_mapnr
    block 1       kdump_sub_header
    then          two bitmaps of the same size: pages that exist, pages that are in the file
    then          page descriptors, one for each bit of the second bitmap: offset u64, size u32, flags u32, page_flags u64
    then          page data, anywhere
"""
import struct

DESCRIPTOR = struct.Struct("<QIIQ")


class Kdump:
    def __init__(self, path):
        self.file = open(path, "r+b")
        head = self.file.read(4096)
        assert head[:8] == b"KDUMP   ", head[:8]
        # signature[8] version u32 utsname 6*65 padding timeval status block_size sub_hdr_size bitmap_blocks max_mapnr
        names_end = 8 + 4 + 6 * 65
        fields = struct.unpack_from("<IiiII", head, (names_end + 7 & ~7) + 16)
        self.block_size, sub_blocks, bitmap_blocks = fields[1], fields[2], fields[3]
        bitmap_bytes = bitmap_blocks * self.block_size // 2
        self.bitmap_at = (1 + sub_blocks) * self.block_size + bitmap_bytes
        self.file.seek(self.bitmap_at)
        self.bitmap = bytearray(self.file.read(bitmap_bytes))
        self.descriptors_at = (1 + sub_blocks + bitmap_blocks) * self.block_size

    def index(self, frame):
        """Which descriptor belongs to the page frame."""
        assert self.bitmap[frame >> 3] >> (frame & 7) & 1, f"frame {frame:#x} is not in the file"
        return int.from_bytes(self.bitmap[:frame >> 3], "little").bit_count() + (self.bitmap[frame >> 3] & (1 << (frame & 7)) - 1).bit_count()

    def exclude(self, frame):
        index, count = self.index(frame), int.from_bytes(self.bitmap, "little").bit_count()
        self.file.seek(self.descriptors_at + (index + 1) * DESCRIPTOR.size)
        rest = self.file.read((count - index - 1) * DESCRIPTOR.size)
        self.file.seek(self.descriptors_at + index * DESCRIPTOR.size)
        self.file.write(rest)
        self.bitmap[frame >> 3] &= ~(1 << (frame & 7))
        self.file.seek(self.bitmap_at)
        self.file.write(self.bitmap)
        self.file.flush()

    def replace(self, frame, page):
        """The new bytes go to the end of the file, not compressed."""
        assert len(page) == self.block_size
        self.file.seek(0, 2)
        end = self.file.tell()
        self.file.write(page)
        self.file.seek(self.descriptors_at + self.index(frame) * DESCRIPTOR.size)
        self.file.write(DESCRIPTOR.pack(end, len(page), 0, 0))
        self.file.flush()

    def forget_vmcoreinfo(self):
        """No VMCOREINFO: neither in the header nor as a note; that of the memory stays."""
        self.file.seek(self.block_size + 32)
        self.file.write(bytes(16))
        self.file.seek(0)
        head = self.file.read(1 << 20)
        at = head.find(b"VMCOREINFO\0")
        while at >= 0:
            self.file.seek(at)
            self.file.write(b"X")
            at = head.find(b"VMCOREINFO\0", at + 1)
        self.file.flush()
