"""Image files of all the kinds that turn up in a folder: those that can be used, and those that cannot."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ORIENTATION = 0x0112
QUARTER_TURN = 6  # shown after a quarter turn clockwise


def scene(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A smooth picture with edges: uint8 (height, width, 3), BGR."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def encode(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """A file of a format of Pillow's; arrays (H, W, 3) are BGR."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., ::-1] if image.ndim == 3 else image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(image: np.ndarray, kind: str, orientation: int = QUARTER_TURN) -> bytes:
    """A file with an EXIF tag by which it is to be turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(image, kind, exif=exif)


def _chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def png(width: int, height: int, num_rows: int) -> bytes:
    """A PNG whose header promises (height, width) black pixels, of which there are the first rows."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = compressed_zeros((1 + 3 * width) * num_rows)
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', header) + _chunk(b'IDAT', rows) + _chunk(b'IEND', b'')


def compressed_zeros(number: int) -> bytes:
    """What zlib makes of so many zero bytes, without having them."""
    compressor = zlib.compressobj(wbits=-15)
    million = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    rest = compressor.compress(bytes(number % (1 << 20))) + compressor.flush()
    checksum = (number % 65_521) << 16 | 1  # Adler-32
    return b'\x78\x9c' + million * (number >> 20) + rest + struct.pack('>I', checksum)


def usable_images() -> dict[str, tuple[bytes, np.ndarray, float]]:
    """Files by their names, each with what it must come out as (BGR), and the mean error that its format may make."""
    image = scene()
    rgb = Image.fromarray(image[..., ::-1])
    grey = np.array(rgb.convert('L'))
    as_grey = np.repeat(grey[..., None], 3, 2)
    turned_image = np.rot90(image, -1)
    other_frames = dict(save_all=True, append_images=[rgb.rotate(180), Image.new('RGB', rgb.size, (255, 0, 0))])
    palette = rgb.convert('P', palette=Image.Palette.ADAPTIVE)
    of_palette = np.array(palette.convert('RGB'))[..., ::-1]
    black_and_white = np.repeat(np.where(grey[..., None] > 127, np.uint8(255), np.uint8(0)), 3, 2)
    deep = image.astype(np.uint16) * 257 // 256 * 256 + 255  # the lower eight bits do not count
    return {
        'grey.png': (encode(grey, 'PNG'), as_grey, 0),
        'grey.jpg': (encode(grey, 'JPEG', quality=95), as_grey, 3),
        'bits.png': (encode(Image.fromarray(grey > 127), 'PNG'), black_and_white, 0),
        'deep grey.png': (encode(grey.astype(np.uint16) * 256, 'PNG'), as_grey, 0.5),
        'deep.png': (cv2.imencode('.png', deep)[1].tobytes(), image, 1),
        'deep.tiff': (cv2.imencode('.tiff', deep)[1].tobytes(), image, 1),
        'alpha.png': (cv2.imencode('.png', np.dstack([image, grey]))[1].tobytes(), image, 0),
        'alpha.webp': (encode(rgb.convert('RGBA'), 'WEBP', lossless=True), image, 0),
        'grey with alpha.png': (encode(Image.merge('LA', [rgb.convert('L')] * 2), 'PNG'), as_grey, 0),
        'palette.png': (encode(palette, 'PNG'), of_palette, 0),
        'cmyk.jpg': (encode(rgb.convert('CMYK'), 'JPEG', quality=95), image, 4),
        'cmyk.tiff': (encode(rgb.convert('CMYK'), 'TIFF'), image, 1),
        'progressive.jpg': (encode(image, 'JPEG', quality=95, progressive=True), image, 4),
        'turned.jpg': (turned(image, 'JPEG'), turned_image, 6),
        'turned.png': (turned(image, 'PNG'), turned_image, 0),
        'turned.webp': (turned(image, 'WEBP'), turned_image, 6),
        'turned.tiff': (turned(image, 'TIFF'), turned_image, 0),
        'animated.gif': (encode(palette, 'GIF', **other_frames), of_palette, 12),
        'animated.png': (encode(rgb, 'PNG', **other_frames), image, 0),
        'animated.webp': (encode(rgb, 'WEBP', lossless=True, **other_frames), image, 0),
        'pages.tiff': (encode(rgb, 'TIFF', **other_frames), image, 0),
        'ünï 図 [1].bmp': (encode(rgb, 'BMP'), image, 0),
        'png by another name.jpg': (encode(rgb, 'PNG'), image, 0),
        'one colour.png': (encode(np.full_like(image, 77), 'PNG'), np.full_like(image, 77), 0),
    }


def unusable_images() -> dict[str, tuple[bytes, str]]:
    """Files by their names, each with a regular expression for what must be said of it."""
    image = scene(200, 300)
    whole = encode(image, 'PNG')
    damaged = bytearray(whole)
    for place in range(len(whole) // 3, len(whole) // 2):
        damaged[place] ^= 0x55
    return {
        'empty.png': (b'', 'is empty: a file of 0 bytes'),
        'text.jpg': (b'no image at all', 'is not an image of a known format'),
        'corrupt.jpg': (b'\xff\xd8\xff not a picture' * 9, 'is not an image of a known format'),
        'corrupt.png': (bytes(damaged), 'cannot be decoded: it is cut off or damaged'),
        'cut.png': (whole[: len(whole) // 2], 'cannot be decoded: it is cut off or damaged'),
        'cut header.png': (whole[:20], 'has a damaged header: Truncated'),
        'cut.jpg': (_half(encode(image, 'JPEG')), 'cannot be decoded: it is cut off or damaged'),
        'cut.gif': (_half(encode(image, 'GIF')), 'cannot be decoded: it is cut off or damaged'),
        'cut.webp': (_half(encode(image, 'WEBP')), 'has a damaged header'),
        'cut.tiff': (
            _half(encode(image, 'TIFF')),
            'cannot be decoded: it is cut off or damaged|is not an image of a known',
        ),
        'floats.tiff': (
            encode(Image.fromarray(image[..., 0].astype(np.float32)), 'TIFF'),
            'has float32 values, .* to .*, and their white is unknown: give LoadImageFromFile value_range',
        ),
        'huge.png': (png(20_000, 20_000, 3), 'has more than 178,956,970 pixels, the most that are decoded'),
        'huge and thin.png': (png(100, 2_000_000, 3), 'has more than 178,956,970 pixels, the most that are decoded'),
    }


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by their names, which may have folders in them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def tiff(pixels: np.ndarray, bits: int | None = None, planar: bool = False, photometric: int | None = None) -> bytes:
    """An uncompressed TIFF of any number of bands (H, W) or (H, W, B), of any type of numbers.

    Args:
        pixels: The values, bands in the order of the file (RGB).
        bits: Bits of a value, packed from the highest on, where they are not those of the type.
        planar: Store band after band.
        photometric: 0 white is zero, 1 black is zero, 2 RGB; by default what fits.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, bands = pixels.shape
    width_of_value = bits or 8 * pixels.itemsize
    planes = [pixels[..., i : i + 1] for i in range(bands)] if planar else [pixels]
    strips = [_packed(plane.reshape(height, -1), bits) for plane in planes]
    extra = max(bands - 3, 0) if bands >= 3 else bands - 1
    fields = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [width_of_value] * bands),
        259: (3, [1]),
        262: (3, [(2 if bands >= 3 else 1) if photometric is None else photometric]),
        273: (4, [0] * len(strips)),
        277: (3, [bands]),
        278: (4, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if planar else 1]),
        **({338: (3, [0] * extra)} if extra else {}),
        339: (3, [{'u': 1, 'b': 1, 'i': 2, 'f': 3}[pixels.dtype.kind]] * bands),
    }
    sizes = {3: 2, 4: 4}
    start = 8 + 2 + 12 * len(fields) + 4
    places = np.cumsum([start + sum(sizes[kind] * len(v) + 3 & ~3 for kind, v in fields.values()), *map(len, strips)])
    fields[273] = (4, places[:-1].tolist())
    entries, outside = b'', b''
    for tag, (kind, values) in fields.items():
        content = struct.pack(f'<{len(values)}{"HI"[kind - 3]}', *values)
        if len(content) > 4:
            value, outside = (
                struct.pack('<I', start + len(outside)),
                outside + content.ljust(len(content) + 3 & ~3, b'\0'),
            )
        else:
            value = content.ljust(4, b'\0')
        entries += struct.pack('<HHI', tag, kind, len(values)) + value
    head = b'II*\0' + struct.pack('<I', 8) + struct.pack('<H', len(fields)) + entries + bytes(4)
    return (head + outside).ljust(places[0], b'\0') + b''.join(strips)


def _packed(rows: np.ndarray, bits: int | None) -> bytes:
    if bits is None:
        return rows.astype(rows.dtype.newbyteorder('<')).tobytes()
    places = np.arange(bits - 1, -1, -1)
    return np.packbits((rows[..., None] >> places & 1).reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def png_of_bits(ids: np.ndarray, bits: int) -> bytes:
    """A grey PNG whose values (H, W) are stored in 1, 2 or 4 bits."""
    height, width = ids.shape
    rows = b''.join(b'\0' + _packed(row[None], bits) for row in ids)
    header = struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', header) + _chunk(b'IDAT', zlib.compress(rows)) + _chunk(b'IEND', b'')
