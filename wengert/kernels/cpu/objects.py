"""Object files put into memory without LLVM.

To load LLVM takes a tenth of a second and some forty megabytes. Where kernels lie compiled in the cache, all that it
would do is this: lay a file's sections into memory, add their distances to the instructions that refer to each other,
and let the processor run them. An object file for x86-64 in the format ELF (System V ABI, AMD64 supplement) of kernels
has two kinds of such references only. Whatever else there is makes it `Unlinkable`, and LLVM's own linker takes it.
"""

import ctypes
import mmap
import platform
import struct
import sys
from typing import NamedTuple


class Unlinkable(Exception):
    """Something in an object file that isn't known here."""


X86_64 = 62  # e_machine
SYMBOLS, STRINGS, RELOCATIONS, NO_BITS = 2, 3, 4, 8  # sh_type
WRITABLE, ALLOCATED = 1, 2  # sh_flags
PC32, PLT32 = 2, 4  # types of relocation: where the target lies, from here
ABSOLUTE, RESERVED = 0xFFF1, 0xFF00  # section numbers from RESERVED on are no sections
PAGE = mmap.PAGESIZE
STUB = 16  # bytes: a jump to the address that follows it


class Section(NamedTuple):
    """A section's header."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


def possible():
    """Whether this system takes such files."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def sections_of(code):
    if code[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", code, 18)[0] != X86_64:
        raise Unlinkable("not an object file for x86-64")
    (offset,) = struct.unpack_from("<Q", code, 40)
    size, count = struct.unpack_from("<HH", code, 58)
    return [Section(*struct.unpack_from("<IIQQQQIIQQ", code, offset + k * size)) for k in range(count)]


def entries(code, section, form):
    return struct.iter_unpack(form, code[section.offset : section.offset + section.size])


def rounded_up(number, unit):
    return -(-number // unit) * unit


class Image:
    """Where the parts of a file go: code and constants, stubs for functions from elsewhere, then what is written to."""

    def __init__(self, code):
        self.code, self.sections = code, sections_of(code)
        self.places, end = {}, 0
        end = self.placed(end, writable=False)
        table = next(s for s in self.sections if s.type == SYMBOLS)
        strings = self.sections[table.link].offset
        self.symbols, self.stubs = [], {}
        for name, _, _, section, value, _ in entries(code, table, "<IBBHQQ"):
            start = strings + name
            text = code[start : code.index(b"\0", start)].decode()
            self.symbols.append((text, section, value))
            if not section and text:
                self.stubs[text] = end = rounded_up(end, STUB)
                end += STUB
        self.fixed = rounded_up(end, PAGE)
        self.size = max(rounded_up(self.placed(self.fixed, writable=True), PAGE), PAGE)

    def placed(self, end, writable):
        """Give a place from `end` on to each section that takes part; returns the new end."""
        for k, section in enumerate(self.sections):
            if section.flags & ALLOCATED and bool(section.flags & WRITABLE) == writable:
                end = self.places[k] = rounded_up(end, max(section.alignment, 1))
                end += section.size
        return end

    def place(self, text, section, value):
        """Where a symbol lies in the image."""
        if not section:
            return self.stubs[text]
        if section >= RESERVED or section not in self.places:
            raise Unlinkable(f"the symbol {text} in section {section}")
        return self.places[section] + value

    def linked(self, addresses):
        """The image's bytes, with stubs for functions at `addresses`."""
        image = bytearray(self.size)
        for k, place in self.places.items():
            section = self.sections[k]
            if section.type != NO_BITS:
                image[place : place + section.size] = self.code[section.offset : section.offset + section.size]
        for name, place in self.stubs.items():
            image[place : place + STUB] = b"\xff\x25\0\0\0\0" + struct.pack("<Q", addresses[name]) + b"\0\0"
        for section in self.sections:
            if section.type == RELOCATIONS and section.info in self.places:
                for offset, info, addend in entries(self.code, section, "<QQq"):
                    if info & 0xFFFFFFFF not in (PC32, PLT32):
                        raise Unlinkable(f"a relocation of type {info & 0xFFFFFFFF}")
                    at = self.places[section.info] + offset
                    struct.pack_into("<i", image, at, self.place(*self.symbols[info >> 32]) + addend - at)
        return image


def load(code, names, address_of):
    """Put an object file into memory, for the life of the process.

    Args:
        code: the file's bytes.
        names: functions in it that are wanted.
        address_of: gives the address of a function from elsewhere, or None.

    Returns:
        the address of each name.

    Raises:
        Unlinkable: if the file refers to anything in a way that isn't known here.
    """
    image = Image(code)
    addresses = {name: address_of(name) for name in image.stubs}
    if None in addresses.values():
        raise Unlinkable(f"a function that isn't there, of {list(addresses)}")
    linked = image.linked(addresses)
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    system.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    base = system.mmap(None, image.size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if base == ctypes.c_void_p(-1).value:
        raise Unlinkable("no memory")
    ctypes.memmove(base, bytes(linked), len(linked))
    if system.mprotect(base, image.fixed, mmap.PROT_READ | mmap.PROT_EXEC):
        raise Unlinkable("memory that may not be run")
    places = {text: image.place(text, section, value) for text, section, value in image.symbols if text in names}
    return {name: base + places[name] for name in names}
