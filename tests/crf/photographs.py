"""Small photographs, harmless and hostile, and ways to store one."""

import struct
import zlib
from io import BytesIO

from PIL import Image

from crf import attachments
from crf.attachments import Upload
from crf.forms import forms_by_name
from registry.acting import Door, acting

GREY, RED = (128, 128, 128), (200, 30, 30)
CAMERA = "Kamera von Marta Zwyx"
PLACE_IN_EXIF = {1: "N", 2: (43.0, 36.0, 39.0), 3: "E", 4: (3.0, 52.0, 37.0)}
ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825


def picture(kind="JPEG", *, size=(60, 40), colour=RED, mode="RGB", **options):
    """Return the bytes of a picture of one colour."""
    file = BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


def halves(kind="JPEG", **options):
    """Return a picture 60 wide and 40 high whose left half is red, the right half white."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste(RED, (0, 0, 30, 40))
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(*, orientation=1):
    """Return EXIF as a telephone writes it: whose it is, where it was, and which side is up."""
    found = Image.Exif()
    found[MAKE], found[ORIENTATION] = CAMERA, orientation
    found.get_ifd(GPS).update(PLACE_IN_EXIF)
    return found


def telephone(kind="JPEG", **options):
    """Return a picture with everything that a telephone puts beside the pixels."""
    more = {"comment": CAMERA.encode()} if kind == "JPEG" else {}
    return halves(kind, exif=exif(**options), dpi=(72, 72), xmp=f"<x>{CAMERA}</x>".encode(), **more)


def png_chunk(name, content):
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_that_says(width, height):
    """Return a PNG that says it is of this size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(b"\0" * 100)), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def opened(content):
    """Return a picture as Pillow reads it."""
    image = Image.open(BytesIO(content))
    image.load()
    return image


def stored(form="lesion_assessment", record_id="MTP-001", instance=1, *, by, version=1, content=None, reason=None):
    """Store a photograph, as a door would; return the entry."""
    upload = Upload(content or picture())
    place = (forms_by_name()[form], record_id, instance, "lesion_photo")
    with acting(by, door=Door.REST, reason=reason):
        return attachments.store_file(*place, upload, by=by, version=version, reason=reason)
