"""What is kept of a picture, and which files are none (negative test 32)."""

import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from crf.fields import Unreadable
from crf.pictures import read_picture
from tests.crf.photographs import CAMERA, RED, halves, opened, picture, png_chunk, png_that_says, telephone

MOST = 1_000_000


def read(content, **told):
    return read_picture(content, most_pixels=MOST, **told)


def refusal(content, **told):
    with pytest.raises(Unreadable) as refused:
        read(content, **told)
    return refused.value.code


def colour(content, place=(10, 10)):
    """Return a pixel, rounded to what JPEG keeps."""
    return tuple(round(value, -1) for value in opened(content).convert("RGB").getpixel(place))


NEARLY_RED = tuple(round(value, -1) for value in RED)


@pytest.mark.parametrize(("kind", "content_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
def test_a_photograph_stays_what_it_is(kind, content_type):
    found = read(halves(kind))

    assert (found.content_type, found.width, found.height) == (content_type, 60, 40)
    assert opened(found.content).format == kind
    assert (colour(found.content), colour(found.content, (50, 10))) == (NEARLY_RED, (260, 260, 260))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_nothing_stays_beside_the_pixels(kind):
    """Place, owner, comment, XMP: neither in the picture nor in the small one."""
    sent = telephone(kind)
    assert CAMERA.encode() in sent
    assert opened(sent).getexif().get_ifd(0x8825)

    found = read(sent)

    for content in (found.content, found.thumbnail):
        image = opened(content)
        assert CAMERA.encode() not in content
        assert b"Exif" not in content
        assert dict(image.getexif()) == {}
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (60, 40), (5, 5)), (3, (60, 40), (55, 5)), (6, (40, 60), (5, 5)), (8, (40, 60), (5, 55))],
)
def test_a_picture_is_turned_upright(orientation, size, red_at):
    found = read(telephone(orientation=orientation))

    assert (found.width, found.height) == size
    assert colour(found.content, red_at) == NEARLY_RED
    assert opened(found.thumbnail).size == size


def test_the_small_picture_is_a_jpeg_of_at_most_320_pixels_a_side():
    wide, small, line = (read(picture("PNG", size=size)) for size in ((640, 320), (320, 10), (60_000, 1)))

    assert [opened(one.thumbnail).size for one in (wide, small, line)] == [(320, 160), (320, 10), (320, 1)]
    assert opened(wide.thumbnail).format == "JPEG"


def test_one_pixel_is_a_picture():
    assert read(picture("PNG", size=(1, 1))).width == 1


@pytest.mark.parametrize(
    ("mode", "sent", "kept"),
    [
        ("L", 77, 77),
        ("1", 1, 255),
        ("I;16", 77 * 256, 77),
        ("LA", (77, 255), 77),
        ("P", 0, (0, 0, 0)),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("RGBA", (*RED, 255), RED),
    ],
)
def test_every_kind_of_png_becomes_grey_or_colour_of_8_bits_and_what_is_transparent_white(mode, sent, kept):
    image = opened(read(picture("PNG", mode=mode, colour=sent)).content)

    assert image.mode in ("L", "RGB")
    shown = image if isinstance(kept, int) and image.mode == "L" else image.convert("RGB")
    assert shown.getpixel((3, 3)) == (kept if shown.mode == "L" or not isinstance(kept, int) else (kept,) * 3)


def test_a_jpeg_of_four_inks_becomes_one_of_three_colours():
    found = opened(read(picture(mode="CMYK", colour=(0, 255, 255, 0))).content)

    assert found.mode == "RGB"
    assert found.getpixel((3, 3))[0] > 200 > 60 > found.getpixel((3, 3))[1]


def profile(of):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(of)).tobytes()


def test_colours_are_brought_to_srgb_and_the_profile_is_left_out():
    """A space whose red is the green of sRGB: the same numbers mean another colour."""
    swapped = profile("sRGB").replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")

    same, moved = (opened(read(picture("PNG", icc_profile=one)).content) for one in (profile("sRGB"), swapped))

    assert same.getpixel((3, 3)) == RED
    assert moved.getpixel((3, 3))[1] > 150 > 50 > moved.getpixel((3, 3))[0]
    assert "icc_profile" not in same.info.keys() | moved.info.keys()


@pytest.mark.parametrize("useless", [profile("LAB"), b"\0" * 200], ids=["of another kind", "broken"])
def test_a_profile_that_does_not_fit_is_left_out(useless):
    found = opened(read(picture("PNG", icc_profile=useless)).content)

    assert (found.getpixel((3, 3)), "icc_profile" in found.info) == (RED, False)


def test_of_a_telephones_jpeg_with_a_second_picture_the_first_is_kept():
    file = BytesIO()
    first, second = (Image.new("RGB", (60, 40), colour) for colour in (RED, "blue"))
    first.save(file, "MPO", save_all=True, append_images=[second])
    assert opened(file.getvalue()).n_frames == 2

    found = read(file.getvalue())

    assert (opened(found.content).format, colour(found.content)) == ("JPEG", NEARLY_RED)


# Files that are something else as well

HTML = b"<html><script>alert(document.domain)</script></html>"
ZIP = b"PK\x03\x04" + b"\0" * 26


@pytest.mark.parametrize("appended", [HTML, ZIP, b"%PDF-1.7 " + HTML, b"GIF89a=1;/*"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_appended_to_a_picture_is_gone(kind, appended):
    found = read(halves(kind) + appended)

    assert appended not in found.content + found.thumbnail


def test_what_is_hidden_in_a_comment_or_a_chunk_is_gone():
    png = halves("PNG")
    end = png.rindex(b"\0\0\0\0IEND")
    hidden = [
        halves(comment=HTML),
        png[:end] + png_chunk(b"tEXt", b"Comment\0" + HTML) + png[end:],
        png[:end] + png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(HTML)) + png[end:],
        png[:end] + png_chunk(b"prVt", HTML) + png[end:],
    ]

    assert [HTML in read(content).content for content in hidden] == [False] * 4


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
NO_PICTURES = {
    "nothing": b"",
    "three bytes": b"\xff\xd8\xff",
    "svg": SVG,
    "html": HTML,
    "html after blanks": b" \n" + halves(),
    "gif": picture("GIF"),
    "webp": picture("WEBP"),
    "tiff": picture("TIFF"),
    "bmp": picture("BMP"),
    "pdf": b"%PDF-1.7",
    "zip": ZIP,
    "svg in a jpeg's clothes": b"\xff\xd8\xff\xe0" + SVG,
    "png cut after its beginning": halves("PNG")[:20],
}


@pytest.mark.parametrize("content", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_jpeg_or_png_is_refused(content):
    assert refusal(content) in ("not_a_photograph", "damaged_photograph")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_is_not_whole_is_refused(kind):
    whole = halves(kind)

    assert refusal(whole[: len(whole) // 2]) == "damaged_photograph"


def test_a_picture_that_moves_is_refused():
    file = BytesIO()
    frames = [Image.new("RGB", (10, 10), colour) for colour in (RED, "blue")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])

    assert refusal(file.getvalue()) == "animated_picture"


@pytest.mark.parametrize("size", [(60_000, 60_000), (1_001, 1_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_with_too_many_pixels_is_refused_before_one_is_decoded(size):
    assert refusal(png_that_says(*size)) == "too_many_pixels"


def test_a_picture_with_as_many_pixels_as_may_be_is_taken():
    assert read(picture("PNG", size=(1_000, 1_000))).height == 1_000


def test_a_text_in_a_png_that_unpacks_to_a_hundred_times_its_size_is_refused():
    png = halves("PNG")
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 20_000_000))

    assert refusal(png[:33] + bomb + png[33:]) == "damaged_photograph"


# What a file is called, and declared as


@pytest.mark.parametrize(
    "name",
    ["", "a", "a.jpg", "a.jpg.", "A.JPEG", "photo.php.jpg", "../../etc/passwd.png", "C:\\a\\b.jpe", "é\u202egpj.jfif"],
)
def test_a_picture_may_be_called_anything_that_does_not_say_otherwise(name):
    assert read(picture(), file_name=name).content_type == "image/jpeg"


@pytest.mark.parametrize("name", ["a.svg", "a.jpg.html", "a.gif", "../a.exe", "a.png.SVG", "a.j pg"])
def test_a_picture_that_is_called_something_else_is_refused(name):
    assert refusal(picture(), file_name=name) == "not_a_photograph"


@pytest.mark.parametrize(
    "declared", ["", "image/jpeg", "IMAGE/JPG; charset=x", "image/png", "application/octet-stream"]
)
def test_a_picture_may_be_declared_as_one(declared):
    assert read(picture(), declared=declared).content_type == "image/jpeg"


@pytest.mark.parametrize("declared", ["text/html", "image/svg+xml", "image/gif", "application/json", "image/*"])
def test_a_picture_that_is_declared_as_something_else_is_refused(declared):
    assert refusal(picture(), declared=declared) == "not_a_photograph"


def test_a_png_that_is_called_a_jpeg_is_kept_as_the_png_it_is():
    assert read(halves("PNG"), file_name="a.jpg", declared="image/jpeg").content_type == "image/png"
