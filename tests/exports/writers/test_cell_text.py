import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.writers.cell_text import LongTexts, is_plain, text_element, units

CELL = 32_767


def kept(folder, text):
    with LongTexts("long_text", folder=folder) as long_texts:
        shown = long_texts.keep(text, sheet="adverse_event", number=2, record="MTP-001 1", column="ae_comment")
        return shown, list(long_texts.sheet().rows)


@pytest.mark.parametrize(("text", "length"), [("", 0), ("é", 1), ("\U0001f9ec", 2), ("\ud800", 1)])
def test_a_text_is_as_long_as_its_utf_16_code_units(text, length):
    assert units(text) == length


@pytest.mark.parametrize(
    "text", ["&", "<", ">", "_x000D_", "_X", "a\n", "a\tb", " a", "a ", "\ud800", "\ufffe", "\x00", ""]
)
def test_what_xml_would_change_is_not_plain(text):
    assert not is_plain(text)


@pytest.mark.parametrize("text", ["=1+1", "007", "é", "\U0001f9ec", "a b", "a_b", "N" * (CELL // 2)])
def test_ordinary_text_is_plain(text):
    assert is_plain(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\rb", "a_x000D_b"),
        ("_x000D_", "_x005F_x000D_"),
        ("_x1_", "_x005F_x1_"),  # LibreOffice would take it for a control character
        ("_x1234\r", "_x005F_x1234_x000D_"),  # not the escape of U+1234
        ("_x_", "_x_"),
        ("max_xray", "max_xray"),
        ("<&>", "&lt;&amp;&gt;"),
    ],
)
def test_what_a_reader_would_change_is_escaped(text, stored):
    assert text_element(text) == f'<is><t xml:space="preserve">{stored}</t></is>'


def test_the_cell_shows_the_beginning_and_names_the_sheet_of_the_rest(tmp_path):
    text = "a" * 40_000

    shown, rows = kept(tmp_path, text)

    marker = " … [cut here: sheet long_text has all 40,000 characters]"
    assert shown == "a" * (CELL - len(marker)) + marker
    assert rows == [
        ["adverse_event", 2, "MTP-001 1", "ae_comment", 1, "a" * CELL],
        ["adverse_event", 2, "MTP-001 1", "ae_comment", 2, "a" * (40_000 - CELL)],
    ]


PIECES = st.sampled_from([("a", 20_000), ("\U0001f9ec", 9_000), ("\r\n", 1)])


@pytest.mark.slow
@given(pieces=st.lists(PIECES, max_size=6))
def test_the_parts_joined_are_the_text_and_each_fits_a_cell(tmp_path_factory, pieces):
    text = "a" * CELL + "".join(piece * times for piece, times in pieces) + "b"

    _, rows = kept(tmp_path_factory.getbasetemp(), text)

    assert "".join(row[-1] for row in rows) == text
    assert [row[-1] for row in rows if units(row[-1]) > CELL] == []


def test_no_file_is_left_of_long_texts(tmp_path):
    kept(tmp_path, "a" * 40_000)

    assert list(tmp_path.iterdir()) == []
