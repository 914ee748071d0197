import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from itertools import pairwise
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from python_calamine import CalamineWorkbook

from exports.writers.cell_text import units
from exports.writers.workbook import Column, Kind, Properties, Sheet, Written, WrittenSheet
from exports.writers.xlsx import write_workbook

CELL = 32_767
MADE_AT = datetime(2025, 6, 1, 12, 30, 14, tzinfo=UTC)
PROPERTIES = Properties(title="Pooled workbook", creator="eCRF 0.1.0", made_at=MADE_AT)
HOSTILE = [
    *(
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20A1",
        "'=1",
        '=cmd|"/c calc"!A0',
    ),
    *("#N/A", "#DIV/0!", "TRUE", "false", "1E5", "007", "MAR1", "1/2", "12345678901234567890", "NULL", "nan", "inf"),
    *(
        "_x000D_",
        "_x005F_x0041_",
        "_x1234\r",
        "__x0041__x0042_",
        "_X000d_",
        "\rx0041_",
        "_x00",
        "_x12\x01",
        "\x00",
        "\x1f",
    ),
    *(
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f9ec",
        "e\u0301",
        "\u202eabc",
        "a\u200bb",
        "a\r\nb\rc\nd",
    ),
    *(" a", "a ", "  ", "\n", "\t", "a\n", "a  b", "\xa0a\xa0", "<b>&amp;</b>", "]]>", "<!--", '"quoted"', "&#13;"),
]


def write(folder, *sheets, closing=None, **options):
    path = folder / "pooled.xlsx"
    written = write_workbook(path, sheets, properties=PROPERTIES, closing=closing, **options)
    return path, written


def one_column(values, *, name="form", column="variable", kind=Kind.TEXT):
    return Sheet(name, [Column(column, kind)], [[value] for value in values])


def unescaped(value):
    """Return a text of openpyxl's as Excel shows it: openpyxl leaves the escapes of OOXML in place."""
    if isinstance(value, str):
        return re.sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), value)
    return value


def naive(text):
    """Return a time as Excel has it: without a zone."""
    return datetime.fromisoformat(text)


def by_openpyxl(path):
    book = load_workbook(path)
    cells = {sheet.title: [[unescaped(value) for value in row] for row in sheet.values] for sheet in book}
    book.close()
    return cells


def by_calamine(path):
    book = CalamineWorkbook.from_path(path)
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def first_column(cells, sheet="form"):
    """Return the values below the header in the first column of a sheet."""
    return [row[0] for row in cells[sheet][1:]]


def as_openpyxl(value):
    """Return what openpyxl should give for a value: dates as midnight, times in UTC without zone, blanks as None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return float(value) if isinstance(value, Decimal) else value if value != "" else None


def as_calamine(value):
    """Return what calamine should give for a value: midnights as dates, numbers as floats, blanks as empty text."""
    if isinstance(value, datetime):
        value = as_openpyxl(value)
        return value.date() if value.time() == time() else value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    return "" if value is None else value


@pytest.mark.slow
def test_hostile_text_stays_the_text_it_was(tmp_path):
    path, written = write(tmp_path, one_column(HOSTILE))

    sheet = load_workbook(path)["form"]
    assert {cell.data_type for column in sheet.columns for cell in column} <= {"s", "inlineStr"}
    assert first_column(by_openpyxl(path)) == HOSTILE
    assert first_column(by_calamine(path)) == HOSTILE
    assert written == Written(sheets=(WrittenSheet("form", ("form",), len(HOSTILE)),), notes=())


def test_characters_that_unicode_does_not_know_stay_what_they_are(tmp_path):
    path, written = write(tmp_path, one_column(["a\ufffe\uffffb"]))

    assert first_column(by_openpyxl(path)) == ["a\ufffe\uffffb"]
    assert first_column(by_calamine(path)) == ["a_xFFFE__xFFFF_b"]  # Excel's escape, which calamine does not undo
    assert written.notes == ()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_headers_codes_and_sheet_names(tmp_path, text):
    sheet = Sheet(text, [Column(text, Kind.CODE, header_note=text)], [[text]], frozen_columns=1)

    path, written = write(tmp_path, sheet)

    (title,) = written.sheets[0].titles
    expected = {title: [[f"{text} ({text})"], [text]]}
    assert by_openpyxl(path) == expected
    assert by_calamine(path) == expected


@pytest.mark.parametrize("character", ["a", "é", "\r", "<"])
def test_a_text_of_32_767_characters_fits_its_cell(tmp_path, character):
    path, written = write(tmp_path, one_column([character * CELL]))

    assert first_column(by_calamine(path)) == [character * CELL]
    assert written.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a" * (CELL + 1), "\U0001f9ec" * 16_384, "\r" * 50_000], ids=["a", "emoji", "cr"])
def test_a_longer_text_is_cut_visibly_and_whole_on_a_sheet_of_its_own(tmp_path, text):
    columns = [Column("record_id"), Column("instance"), Column("ae_comment")]
    sheet = Sheet("adverse_event", columns, [["MTP-001", 2, text], ["MTP-002", 1, "short"]], frozen_columns=2)

    path, written = write(tmp_path, sheet)

    cells = by_calamine(path)
    shown = cells["adverse_event"][1][2]
    begin, marker = shown.split(" … [cut here: ")
    assert text.startswith(begin)
    assert marker == f"sheet long_text has all {len(text):,} characters]"
    assert CELL - 1 <= units(shown) <= CELL
    head, *parts = cells["long_text"]
    assert head == ["sheet", "row", "record", "column", "part", "text"]
    assert "".join(row[-1] for row in parts) == text
    where = ["adverse_event", 2, "MTP-001 2", "ae_comment"]
    assert [row[:-1] for row in parts] == [[*where, number] for number in range(1, len(parts) + 1)]
    assert written.notes == (
        "Sheet adverse_event, column ae_comment, record MTP-001 2: "
        "the text has more than 32,767 characters; the cell holds its beginning, sheet long_text all of it.",
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_cannot_take_the_name_of_the_long_texts(tmp_path):
    _, written = write(tmp_path, one_column(["a" * (CELL + 1)], name="long_text"))

    assert [sheet.titles for sheet in written.sheets] == [("long_text_2",), ("long_text",)]


def test_long_texts_of_closing_sheets_get_a_sheet_behind_them(tmp_path):
    path, written = write(
        tmp_path,
        one_column(["a" * (CELL + 1)]),
        closing=lambda _: [one_column(["b" * (CELL + 1)], name="manifest")],
    )

    assert [sheet.titles[0] for sheet in written.sheets] == ["form", "long_text", "manifest", "long_text_2"]
    assert "".join(row[-1] for row in by_calamine(path)["long_text_2"][1:]) == "b" * (CELL + 1)


def test_half_a_character_is_replaced_and_noted(tmp_path):
    path, written = write(tmp_path, one_column(["a\ud800b", "\udc00"]))

    assert first_column(by_calamine(path)) == ["a\ufffdb", "\ufffd"]
    assert written.notes == (
        "Sheet form, column variable, row 2, row 3: half a character, which cannot be stored, is replaced by U+FFFD.",
    )


def test_dates_are_dates_from_march_1900_on_and_text_before(tmp_path):
    values = [date(1, 1, 1), date(1900, 2, 28), date(1900, 3, 1), date(2024, 2, 29), date(9999, 12, 31)]

    path, written = write(tmp_path, one_column(values, kind=Kind.DATE))

    assert first_column(by_calamine(path)) == ["0001-01-01", "1900-02-28", *values[2:]]
    cells = next(load_workbook(path)["form"].columns)[1:]
    assert [cell.number_format for cell in cells] == ["General"] * 2 + ["yyyy-mm-dd"] * 3
    assert [cell.value for cell in cells] == ["0001-01-01", "1900-02-28", *map(as_openpyxl, values[2:])]
    assert written.notes == (
        "Sheet form, column variable, row 2, row 3: "
        "a date outside 1900-03-01 to 9999-12-31, the days that Excel counts right, is stored as text.",
    )


def test_times_are_in_utc_and_their_header_says_so(tmp_path):
    paris = timezone(timedelta(hours=2))
    values = [datetime(2024, 7, 1, 0, 30, 15, 250_000, tzinfo=paris), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]

    path, written = write(tmp_path, one_column(values, column="saved_at", kind=Kind.DATETIME))

    expected = [["saved_at (UTC)"], [naive("2024-06-30T22:30:15.250")], [naive("9999-12-31T23:59:59")]]
    assert by_calamine(path) == {"form": expected}
    assert by_openpyxl(path) == {"form": expected}
    assert written.notes == ()


def test_times_finer_or_older_than_excel_keeps_are_noted(tmp_path):
    zone = timezone(timedelta(hours=14))
    values = [datetime(2024, 7, 1, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1, 1, 1, tzinfo=zone)]

    path, written = write(tmp_path, one_column(values))

    assert first_column(by_calamine(path)) == [naive("2024-07-01T23:59:59.999"), "0001-01-01T00:00:00+14:00"]
    assert [note.split(": ")[0] for note in written.notes] == [
        "Sheet form, column variable, row 2",
        "Sheet form, column variable, row 3",
    ]


def test_a_time_that_excel_cannot_place_after_the_last_day_is_noted_as_text(tmp_path):
    value = datetime(9999, 12, 31, 23, 0, tzinfo=timezone(-timedelta(hours=2)))

    path, written = write(tmp_path, one_column([value]))

    assert first_column(by_calamine(path)) == ["9999-12-31T23:00:00-02:00"]
    assert len(written.notes) == 1


def test_numbers_are_numbers_up_to_15_digits_and_exact_text_beyond(tmp_path):
    numbers = [
        0,
        -(10**15) + 1,
        10**15 - 1,
        0.1,
        1e300,
        -0.5,
        Decimal("0.10"),
        Decimal("1E+3"),
        Decimal("-12.345678901234"),
    ]
    texts = [10**15, -(10**15), Decimal("1.234567890123456"), Decimal("1E+400"), Decimal("1E-400")]

    path, written = write(tmp_path, one_column([*numbers, *texts]))

    expected = [*map(float, numbers), *map(str, texts)]
    assert first_column(by_openpyxl(path)) == expected
    assert first_column(by_calamine(path)) == expected
    assert written.notes == (
        "Sheet form, column variable, row 11, row 12, row 13, row 14, row 15: "
        "a number with more than 15 digits is stored as text, because Excel would round it.",
    )


def test_what_is_not_a_number_is_text_and_noted(tmp_path):
    path, written = write(tmp_path, one_column([float("nan"), float("-inf"), Decimal("NaN")]))

    assert first_column(by_calamine(path)) == ["nan", "-inf", "NaN"]
    assert written.notes == (
        "Sheet form, column variable, row 2, row 3, row 4: a number that Excel does not know is stored as text.",
    )


def test_booleans_are_booleans_and_blanks_are_blank(tmp_path):
    path, _ = write(tmp_path, one_column([True, None, "", False]))

    assert first_column(by_openpyxl(path)) == [True, None, None, False]
    assert first_column(by_calamine(path)) == [True, "", "", False]


def test_members_of_enumerations_are_written_as_their_values(tmp_path):
    class Site(str, Enum):  # noqa: UP042 -- its str() is not its value
        NIMES = "NIM"
        BLANK = ""

    grade = IntEnum("grade", {"SEVERE": 3})

    path, _ = write(tmp_path, one_column([Site.NIMES, Site.BLANK, grade.SEVERE, Site.NIMES]))

    assert first_column(by_openpyxl(path)) == ["NIM", None, 3, "NIM"]


@pytest.mark.parametrize("value", [b"bytes", ["list"], time(12), object(), datetime(2024, 1, 1)])  # noqa: DTZ001 -- no zone
def test_a_value_that_no_cell_holds_is_refused_by_its_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"Row 3 of sheet form .* variable"):
        write(tmp_path, one_column(["first", value]))

    assert list(tmp_path.iterdir()) == []


def test_a_row_of_another_length_is_refused(tmp_path):
    sheet = Sheet("form", [Column("a"), Column("b")], [["1", "2"], ["1"]])

    with pytest.raises(ValueError, match=re.escape("Row 3 of sheet form has 1 values for 2 columns.")):
        write(tmp_path, sheet)


def test_a_sheet_without_rows_keeps_its_header(tmp_path):
    path, written = write(tmp_path, Sheet("dosing", [Column("record_id"), Column("dose_mg")], []))

    assert by_openpyxl(path) == {"dosing": [["record_id", "dose_mg"]]}
    assert by_calamine(path) == {"dosing": [["record_id", "dose_mg"]]}
    assert written.sheets == (WrittenSheet("dosing", ("dosing",), 0),)


def test_header_and_key_columns_are_frozen_filtered_bold_and_wide_enough(tmp_path):
    columns = [Column("site", Kind.CODE, width=7), Column("record_id"), Column("saved_at", Kind.DATETIME, width=5)]

    path, _ = write(tmp_path, Sheet("dosing", columns, [["MTP", "MTP-001", MADE_AT]], frozen_columns=2))

    sheet = load_workbook(path)["dosing"]
    assert sheet.freeze_panes == "C2"
    assert sheet.auto_filter.ref == "A1:C2"
    assert [cell.font.b for row in sheet for cell in row] == [True] * 3 + [False] * 3
    assert [sheet.column_dimensions[letter].width for letter in "ABC"] == [7, 14, 28]
    assert [cell.number_format for cell in sheet[2]] == ["@", "General", 'yyyy-mm-dd hh:mm:ss.000 "UTC"']


@pytest.mark.parametrize(
    ("count", "titles"),
    [(3, ("visit",)), (4, ("visit", "visit_2")), (6, ("visit", "visit_2")), (7, ("visit", "visit_2", "visit_3"))],
)
def test_more_rows_than_a_sheet_holds_go_on_in_another(tmp_path, count, titles):
    path, written = write(tmp_path, one_column(range(count), name="visit"), rows_per_sheet=3)

    cells = by_openpyxl(path)
    assert written.sheets == (WrittenSheet("visit", titles, count),)
    assert tuple(cells) == titles
    assert [rows[0] for rows in cells.values()] == [["variable"]] * len(titles)
    assert [number for title in titles for number in first_column(cells, title)] == list(range(count))
    assert written.notes == tuple(
        f"Sheet {title}: continues sheet {before}, which is as long as a sheet can be."
        for before, title in pairwise(titles)
    )


@pytest.mark.parametrize(("count", "titles"), [(20, ("visit", "visit_2")), (21, ("visit", "visit_2", "visit_3"))])
def test_more_bytes_than_a_sheet_should_have_go_on_in_another(tmp_path, count, titles):
    texts = [f"{number:030}" * 1_000 for number in range(count)]  # 30,000 bytes each, written five at a time

    path, written = write(tmp_path, one_column(texts, name="visit"), bytes_per_sheet=200_000)

    cells = by_calamine(path)
    assert written.sheets == (WrittenSheet("visit", titles, count),)
    assert [text for title in cells for text in first_column(cells, title)] == texts


@pytest.mark.slow
def test_16_384_columns_are_written_and_one_more_is_refused(tmp_path):
    columns = [Column(f"v{number}") for number in range(16_385)]

    path, _ = write(tmp_path, Sheet("wide", columns[:-1], []))
    with pytest.raises(ValueError, match=r"Sheet wide would have 16,385 columns\. Excel holds 16,384"):
        write(tmp_path, Sheet("wide", columns, []))

    assert not path.exists()


def test_a_changed_sheet_name_is_noted(tmp_path):
    path, written = write(tmp_path, one_column([], name="a/b"), one_column([], name="A_B"))

    assert list(by_openpyxl(path)) == ["a_b", "A_B_2"]
    assert written.notes == (
        'Sheet a_b: stands for "a/b", a name that is taken or that Excel refuses.',
        'Sheet A_B_2: stands for "A_B", a name that is taken or that Excel refuses.',
    )


def test_a_column_full_of_the_same_trouble_is_one_note(tmp_path):
    _, written = write(tmp_path, one_column([10**15] * 1_012))

    (note,) = written.notes
    assert note.startswith("Sheet form, column variable, row 2, row 3, ")
    assert "row 11 and 1,002 more: a number with more" in note


def test_sheets_and_rows_are_read_when_their_turn_comes(tmp_path):
    read = []

    def rows(name):
        for number in range(2):
            read.append((name, number))
            yield [number]

    def sheets():
        for name in ("a", "b"):
            read.append(name)
            yield Sheet(name, [Column("n")], rows(name))

    def closing(written):
        read.append([(sheet.name, sheet.rows) for sheet in written.sheets])
        return [one_column([sheet.rows for sheet in written.sheets], name="manifest")]

    path = tmp_path / "pooled.xlsx"
    write_workbook(path, sheets(), properties=PROPERTIES, closing=closing)

    assert read == ["a", ("a", 0), ("a", 1), "b", ("b", 0), ("b", 1), [("a", 2), ("b", 2)]]
    assert first_column(by_openpyxl(path), "manifest") == [2, 2]


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_when_reading_the_rows_fails(tmp_path, error):
    def rows():
        yield ["a" * (CELL + 1)]
        raise error

    with pytest.raises(error):
        write(tmp_path, Sheet("form", [Column("variable")], rows()))

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_closing_sheets_fail(tmp_path):
    def closing(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(tmp_path, one_column(["text"]), closing=closing)

    assert list(tmp_path.iterdir()) == []


DISK_FULL = """
import random, resource, sys
from pathlib import Path
from tests.exports.writers import test_xlsx

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = random.Random(1)
texts = [noise.randbytes(1_000).hex() for _ in range(1_000)]
test_xlsx.write(Path(sys.argv[1]), test_xlsx.one_column(texts))
"""


@pytest.mark.slow
def test_a_full_disk_is_an_error_of_the_system_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-W", "error", "-c", DISK_FULL, str(tmp_path)]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.stderr.strip().splitlines()[-1] == "OSError: [Errno 27] File too large"
    assert "Exception ignored" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing", one_column([]))


def test_a_workbook_without_sheets_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"A workbook needs at least one sheet\."):
        write(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_same_cut_makes_the_same_bytes_and_another_cut_others(tmp_path):
    first, again, later = (tmp_path / name for name in ("first.xlsx", "again.xlsx", "later.xlsx"))
    cuts = {first: MADE_AT, again: MADE_AT.astimezone(timezone(timedelta(hours=2))), later: MADE_AT + timedelta(days=1)}

    for path, made_at in cuts.items():
        properties = Properties(title="Pooled workbook", creator="eCRF 0.1.0", made_at=made_at)
        write_workbook(path, [one_column(["a" * (CELL + 1)])], properties=properties)

    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != later.read_bytes()


def test_the_file_says_only_its_title_the_software_and_the_time_of_the_cut(tmp_path):
    path, _ = write(tmp_path, one_column([]))

    said = {name: value for name, value in vars(load_workbook(path).properties).items() if value is not None}
    assert said == {
        "title": "Pooled workbook",
        "creator": "eCRF 0.1.0",
        "created": MADE_AT.replace(tzinfo=None),
        "modified": MADE_AT.replace(tzinfo=None),
    }
    with ZipFile(path) as archive:
        assert {part.date_time for part in archive.infolist()} == {(2025, 6, 1, 12, 30, 14)}


TRICKY_TEXT = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=40
    ),  # without surrogates, as from PostgreSQL
    st.text(alphabet="_x0041DF\r\n\x01 &<>", max_size=20),
)
VALUES = {
    Kind.TEXT: TRICKY_TEXT,
    Kind.CODE: TRICKY_TEXT,
    Kind.INTEGER: st.integers(-(10**15) + 1, 10**15 - 1),
    Kind.DECIMAL: st.decimals(-(10**8), 10**8, places=4) | st.floats(allow_nan=False, allow_infinity=False),
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: st.dates(min_value=date(1900, 3, 1)),
    Kind.DATETIME: st.datetimes(
        min_value=naive("1900-03-02"),
        max_value=naive("9999-12-30"),
        timezones=st.timezones(),
    ).map(lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)),
}
TABLES = st.lists(st.sampled_from(Kind), min_size=1, max_size=6).flatmap(
    lambda kinds: st.tuples(
        st.just(kinds), st.lists(st.tuples(*(st.none() | VALUES[kind] for kind in kinds)), max_size=4)
    )
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(table=TABLES)
def test_any_table_reads_back_as_it_was(tmp_path_factory, table):
    kinds, values = table
    columns = [Column("row"), *(Column(f"v{number}", kind) for number, kind in enumerate(kinds))]
    rows = [(number, *row) for number, row in enumerate(values)]

    path, written = write(tmp_path_factory.getbasetemp(), Sheet("form", columns, rows))

    header = [column.header for column in columns]
    assert by_openpyxl(path) == {"form": [header, *([as_openpyxl(value) for value in row] for row in rows)]}
    assert by_calamine(path) == {"form": [header, *([as_calamine(value) for value in row] for row in rows)]}
    assert written.notes == ()
