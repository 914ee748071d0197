"""Photographs as they come from a camera or a disk to what is kept of them: the pixels, and nothing else.

What a file is, its content says. Nothing of it is kept as it came: the pixels are decoded, turned upright, and written
anew, so that place, time, owner and serial number (EXIF, XMP, IPTC), comments, a second picture inside the file, and
whatever was appended to it are gone. Colours are first brought to sRGB, which viewers take for granted, and the profile
is left out.

The only door to Pillow. One picture of a process is worked on at a time, because each takes some hundred megabytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from threading import Lock
from typing import Final

from django.utils.translation import gettext as _
from PIL import Image, ImageCms, ImageOps

from crf.fields import Unreadable

JPEG, PNG = "JPEG", "PNG"
CONTENT_TYPES: Final[Mapping[str, str]] = {JPEG: "image/jpeg", PNG: "image/png"}
ENDINGS: Final[Mapping[str, str]] = {"image/jpeg": "jpg", "image/png": "png"}
BEGINNINGS: Final[Mapping[str, bytes]] = {JPEG: b"\xff\xd8\xff", PNG: b"\x89PNG\r\n\x1a\n"}
ENDINGS_IN_USE: Final = frozenset({"", ".jpg", ".jpeg", ".jpe", ".jfif", ".png"})
TYPES_IN_USE: Final = frozenset({"", "application/octet-stream", "image/jpeg", "image/jpg", "image/pjpeg", "image/png"})
QUALITY, QUALITY_OF_THUMBNAIL = 92, 80
THUMBNAIL_SIDE: Final = 320

# Pillow's own limit warns first and refuses later. Ours is in its place, and comes before the first pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
_ONE_AT_A_TIME = Lock()
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph as it is kept; `thumbnail` is a JPEG of at most 320 pixels a side."""

    content: bytes
    content_type: str
    width: int
    height: int
    thumbnail: bytes


def read_picture(content: bytes, *, most_pixels: int, file_name: str = "", declared: str = "") -> Picture:
    """Return the photograph in `content`, a JPEG or PNG; what it is called and declared as must not say otherwise.

    A JPEG that is called a PNG, or the other way round, is taken for what it is. Raises Unreadable.
    """
    kind = _kind_of(content)
    if kind is None or not _is_called_a_picture(file_name, declared):
        raise Unreadable("not_a_photograph", _("This file is no JPEG or PNG photograph. Choose one that is."))
    with _ONE_AT_A_TIME:
        try:
            return _kept(content, kind, most_pixels=most_pixels)
        except Unreadable:
            raise
        except Exception:  # decoders meet hostile files, and nobody can name all that they raise
            message = _("The photograph is damaged or not whole. Copy it from the camera again.")
            raise Unreadable("damaged_photograph", message) from None


def _kind_of(content: bytes) -> str | None:
    return next((kind for kind, beginning in BEGINNINGS.items() if content.startswith(beginning)), None)


def _is_called_a_picture(file_name: str, declared: str) -> bool:
    ending = PurePosixPath(file_name.replace("\\", "/")).suffix.lower()
    return ending in ENDINGS_IN_USE and declared.partition(";")[0].strip().lower() in TYPES_IN_USE


def _kept(content: bytes, kind: str, *, most_pixels: int) -> Picture:
    with Image.open(BytesIO(content), formats=[kind]) as opened:
        if opened.width * opened.height > most_pixels:
            message = _("The photograph has %(width)d x %(height)d pixels. Make it smaller: %(max)d million at most.")
            shown = {"width": opened.width, "height": opened.height, "max": most_pixels // 1_000_000}
            raise Unreadable("too_many_pixels", message % shown)
        # A JPEG with a second picture inside is what telephones make: the first one counts.
        if kind == PNG and getattr(opened, "is_animated", False):
            raise Unreadable("animated_picture", _("The picture moves. Choose a photograph."))
        opened.load()
        image = _pixels_alone(opened)
    content_type = CONTENT_TYPES[kind]
    written, width, height = _written(image, kind, quality=QUALITY), image.width, image.height
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return Picture(written, content_type, width, height, _written(image, JPEG, quality=QUALITY_OF_THUMBNAIL))


def _pixels_alone(opened: Image.Image) -> Image.Image:
    """Return the pixels upright, opaque, in grey or sRGB with 8 bits a channel, and nothing beside them."""
    profile = opened.info.get("icc_profile")
    image = _opaque(ImageOps.exif_transpose(opened))
    if profile:
        image = _in_srgb(image, profile)
    if image.mode != "L":
        image = image.convert("RGB")
    image.info = {}  # comments and profiles would be written again
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """Return the picture as it looks on white: under what is transparent pixels could hide."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I"):
        # 16 bits of grey: Pillow would cut what is brighter than 255, not scale it.
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB") if image.mode in ("P", "PA") else image
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture with the colours that its profile means; as it is if the profile is none of its mode."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):
        return image


def _written(image: Image.Image, kind: str, *, quality: int) -> bytes:
    file = BytesIO()
    if kind == JPEG:
        # Full colour resolution: redness and its borders are what the photograph is for.
        image.save(file, JPEG, quality=quality, subsampling=0)
    else:
        image.save(file, PNG)
    return file.getvalue()
