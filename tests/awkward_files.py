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


def png(width: int, height: int, num_rows: int) -> bytes:
    """A PNG whose header promises (height, width) black pixels, of which there are the first rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = compressed_zeros((1 + 3 * width) * num_rows)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


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
        'text.jpg': (b'no image at all', 'is no image of a known format'),
        'corrupt.jpg': (b'\xff\xd8\xff not a picture' * 9, 'is no image of a known format'),
        'corrupt.png': (bytes(damaged), 'cannot be decoded: it is cut off, damaged'),
        'cut.png': (whole[: len(whole) // 2], 'cannot be decoded: it is cut off, damaged'),
        'cut header.png': (whole[:20], 'has a damaged header: Truncated'),
        'cut.jpg': (_half(encode(image, 'JPEG')), 'cannot be decoded: it is cut off, damaged'),
        'cut.gif': (_half(encode(image, 'GIF')), 'cannot be decoded: it is cut off, damaged'),
        'cut.webp': (_half(encode(image, 'WEBP')), 'has a damaged header'),
        'cut.tiff': (_half(encode(image, 'TIFF')), 'cannot be decoded: it is cut off, damaged|is no image of a known'),
        'floats.tiff': (
            encode(Image.fromarray(image[..., 0].astype(np.float32)), 'TIFF'),
            'cannot be decoded: .*, or of values that have no 8-bit form',
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
