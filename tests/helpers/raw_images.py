"""Image files of kinds that Pillow reads but does not write, made byte by byte."""

import struct
import zlib
from pathlib import Path

import numpy as np


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png16(path: Path, values: np.ndarray, *, clear: int | None = None) -> Path:
    """A PNG of 16 bits a channel from ``[H, W]`` or ``[H, W, 2..4]`` uint16; the gray ``clear`` is transparent."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2").reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header)
    if clear is not None:
        chunks += png_chunk(b"tRNS", struct.pack(">H", clear))
    chunks += png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b""))
    return path


def write_tiff(
    path: Path, values: np.ndarray, *, bits: int | None = None, white_is_zero: bool = False, big_endian: bool = False
) -> Path:
    """A TIFF without compression from ``[H, W]`` or ``[H, W, 3]``: uint8, uint16 or float32; 12 bits are packed."""
    order = ">" if big_endian else "<"
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    bits = values.dtype.itemsize * 8 if bits is None else bits
    if bits == 12:
        rows = ["".join(f"{value:012b}" for value in row) for row in values.tolist()]
        data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)  # an even width fills whole bytes
    else:
        data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    photometric = 2 if channels == 3 else 0 if white_is_zero else 1
    numbers = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: channels, 278: height}
    numbers |= {279: len(data), 339: 3 if values.dtype.kind == "f" else 1}
    extra = 8 + 2 + 12 * (len(numbers) + 1) + 4
    numbers[273] = extra + 8
    directory = struct.pack(order + "H", len(numbers))
    for tag, value in sorted(numbers.items()):
        count = channels if tag in (258, 339) else 1
        shown = struct.pack(order + "I", extra) if count == 3 and tag == 258 else struct.pack(order + "HH", value, 0)
        if tag in (273, 279):
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
        elif count == 3 and tag == 339:
            directory += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
        else:
            directory += struct.pack(order + "HHI", tag, 3, count) + shown
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8)
    depths = struct.pack(order + "3H", bits, bits, bits) + b"\0\0"
    path.write_bytes(head + directory + struct.pack(order + "I", 0) + depths + data)
    return path


def write_tiff_deflated(path: Path, values: np.ndarray, *, big_endian: bool = False) -> Path:
    """A TIFF of 16-bit colour in one strip that is deflated, which libtiff reads: ``[H, W, 3]`` uint16."""
    order = ">" if big_endian else "<"
    height, width, channels = values.shape
    data = zlib.compress(values.astype(order + "u2").tobytes())
    short, long = 3, 4
    after = 8 + 2 + 12 * 10 + 4
    depths = struct.pack(order + "3H", 16, 16, 16)
    rows = [
        (256, long, 1, width), (257, long, 1, height), (258, short, 3, after), (259, short, 1, 8), (262, short, 1, 2),
        (273, long, 1, after + len(depths)), (277, short, 1, channels), (278, long, 1, height),
        (279, long, 1, len(data)), (284, short, 1, 1),
    ]  # fmt: skip
    directory = struct.pack(order + "H", len(rows))
    for tag, kind, count, value in rows:
        shown = struct.pack(order + "HH", value, 0) if kind == short and count == 1 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, kind, count) + shown
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8)
    path.write_bytes(head + directory + struct.pack(order + "I", 0) + depths + data)
    return path
