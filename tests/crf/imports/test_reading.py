"""Files are hostile until shown otherwise (negative tests 31 and 32): refused with a code, within time and memory."""

import io
import resource
import zipfile
from datetime import date

import openpyxl
import pytest

from crf.imports import tables
from crf.imports.csv_reading import read_csv
from crf.imports.refusals import FileRefused
from crf.imports.rows import read_file
from crf.imports.tables import Counted, Wrong
from crf.imports.xlsx_reading import read_xlsx

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CELLS = '<row r="1"><c t="inlineStr"><is><t>record_id</t></is></c><c t="inlineStr"><is><t>sex</t></is></c></row>'
ROW = '<row r="2"><c t="inlineStr"><is><t>MTP-001</t></is></c><c t="inlineStr"><is><t>F</t></is></c></row>'
PARTS = {
    "[Content_Types].xml": '<Types xmlns="x"/>',
    "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATIONS}"><sheets><sheet name="patient" r:id="rId1"/></sheets>'
    "</workbook>",
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="x"><Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
    "</Relationships>",
    "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{CELLS}{ROW}</sheetData></worksheet>",
}


def workbook(changes=None, *, compression=zipfile.ZIP_DEFLATED):
    """Return the smallest workbook, with parts added or replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, part in {**PARTS, **(changes or {})}.items():
            archive.writestr(name, part)
    return file.getvalue()


def sheet(cells):
    return workbook({"xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>"})


def code_of(content, name="file.xlsx", **reading):
    with pytest.raises(FileRefused) as refused:
        read_file(name, content, **reading)
    assert refused.value.message.endswith(".")
    return refused.value.code


def read(content):
    return [(row.record_id, row.cells) for row in read_file("file.xlsx", content).rows]


def test_the_smallest_workbook_is_read():
    assert read(workbook()) == [("MTP-001", {"sex": "F"})]


DTD = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("declaration", [DTD, OUTSIDE, '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">'])
def test_a_document_type_is_refused_in_every_part_before_anything_is_expanded(part, declaration):
    assert code_of(workbook({part: declaration + PARTS[part]})) == "not_xlsx"


def test_a_document_type_is_refused_in_any_encoding():
    part = f'<?xml version="1.0" encoding="UTF-16"?>{DTD}{PARTS["xl/workbook.xml"]}'

    assert code_of(workbook({"xl/workbook.xml": part.encode("utf-16")})) == "not_xlsx"


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("xl/vbaProject.bin", "macros"),
        ("xl/VBAPROJECT.BIN", "macros"),
        ("xl/macrosheets/sheet1.xml", "macros"),
        ("xl/activeX/activeX1.bin", "macros"),
        ("xl/externalLinks/externalLink1.xml", "external_links"),
        ("xl/connections.xml", "external_links"),
        ("xl/embeddings/oleObject1.bin", "embedded_files"),
    ],
)
def test_what_is_more_than_cells_is_refused(part, code):
    assert code_of(workbook({part: "x"})) == code


def test_macros_are_refused_by_their_declared_type():
    types = '<Types xmlns="x"><Override ContentType="application/vnd.ms-excel.sheet.macroEnabled.main+xml"/></Types>'

    assert code_of(workbook({"[Content_Types].xml": types})) == "macros"


def test_a_sheet_elsewhere_is_refused():
    relations = PARTS["xl/_rels/workbook.xml.rels"].replace("Target=", 'TargetMode="External" Target=')

    assert code_of(workbook({"xl/_rels/workbook.xml.rels": relations})) == "external_links"


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "../docProps/core.xml"])
def test_a_sheet_outside_its_folder_is_not_read(target):
    relations = PARTS["xl/_rels/workbook.xml.rels"].replace("worksheets/sheet1.xml", target)

    assert code_of(workbook({"xl/_rels/workbook.xml.rels": relations})) == "no_rows"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "start", "piece", "end", "size"),
    [
        ("xl/sharedStrings.xml", f"<sst {MAIN}>", "<si><t>" + "x" * 10_000 + "</t></si>", "</sst>", 1_000_000_000),
        ("xl/sharedStrings.xml", f"<sst {MAIN}><si><t>", "x" * 10_000, "</t></si></sst>", 200_000_000),
        (
            "xl/worksheets/sheet1.xml",
            f"<worksheet {MAIN}><sheetData>",
            "<row/>" * 1_500,
            "</sheetData></worksheet>",
            60_000_000,
        ),
        ("xl/worksheets/sheet1.xml", f"<worksheet {MAIN}><!--", "x" * 10_000, "--></worksheet>", 200_000_000),
        ("xl/styles.xml", f"<styleSheet {MAIN}>", " " * 10_000, "</styleSheet>", 200_000_000),
    ],
    ids=["shared texts", "one shared text", "rows", "comment", "blanks"],
)
def test_a_part_that_unpacks_to_a_gigabyte_is_refused_in_bounded_memory(part, start, piece, end, size):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in PARTS.items():
            if name != part:
                archive.writestr(name, text)
        with archive.open(part, "w", force_zip64=True) as bomb:
            bomb.write(start.encode())
            chunk = (piece * 1000).encode()
            for _piece in range(size // len(chunk)):
                bomb.write(chunk)
            bomb.write(end.encode())
    content = file.getvalue()
    assert len(content) < tables.MAX_FILE_BYTES

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = code_of(content)

    assert code == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes


def test_elements_nested_without_end_are_refused():
    assert code_of(sheet("<x>" * 100_000)) == "not_xlsx"


def test_two_parts_of_one_name_are_refused():
    file = io.BytesIO(workbook())
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("xl/workbook.xml", PARTS["xl/workbook.xml"])

    assert code_of(file.getvalue()) == "not_xlsx"


def test_a_compression_that_excel_does_not_know_is_refused():
    assert code_of(workbook(compression=zipfile.ZIP_LZMA)) == "not_xlsx"


@pytest.mark.parametrize("missing", list(PARTS))
def test_a_workbook_without_one_of_its_parts_is_refused(missing):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in PARTS.items():
            if name != missing:
                archive.writestr(name, part)

    assert code_of(file.getvalue()) == "not_xlsx"


@pytest.mark.parametrize("length", [4, 30, 200, 500])
def test_a_file_that_was_cut_off_is_refused(length):
    assert code_of(workbook()[:length]) == "not_xlsx"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("file.xlsx", b"record_id,sex\n", "not_what_it_says"),
        ("file.csv", workbook(), "not_what_it_says"),
        ("file.csv", b"%PDF-1.7 record_id", "not_what_it_says"),
        ("file.xlsx", b"<html>" + workbook(), "not_what_it_says"),
        ("file.xlsm", workbook(), "macros"),
        ("file.xlsb", workbook(), "macros"),
        ("file.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted"),
        ("file.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        ("file.ods", b"PK\x03\x04", "unknown_file"),
        ("file.svg", b"<svg/>", "unknown_file"),
        ("file", b"record_id", "unknown_file"),
        ("file.csv", b"", "no_rows"),
        ("file.csv", b"record_id,sex\n", "no_rows"),
        ("file.csv", b"record_id,s\x00ex\nMTP-001,F\n", "not_csv"),
        ("file.csv", b'record_id,sex\nMTP-001,"F\n', "not_csv"),
        ("file.csv", "record_id,sex\nMTP-001,F\n".encode("utf-16"), "not_utf8"),
        ("file.csv", "record_id,ae_term\nMTP-001,Érythème\n".encode("cp1252"), "not_utf8"),
        ("file.csv", b"sex\nF\n", "missing_column"),
        ("file.csv", b"record_id,sex,sex\nMTP-001,F,F\n", "repeated_column"),
        ("file.csv", b"record_id,sex,dose_mg\nMTP-001,F,5\n", "unknown_form"),
        ("file.csv", b"record_id,nothing\nMTP-001,F\n", "unknown_form"),
        ("file.csv", b"record_id,sex,nothing\nMTP-001,F,x\n", "unknown_field"),
        ("file.csv", b"record_id," + b"," * 600 + b"\n", "too_many_cells"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(name, content, code):
    assert code_of(content, name) == code


@pytest.mark.parametrize(
    ("size", "code"), [(tables.MAX_FILE_BYTES, "not_csv"), (tables.MAX_FILE_BYTES + 1, "too_large")]
)
def test_a_file_is_as_large_as_a_file_may_be(size, code):
    assert code_of(b"\x00" * size, "file.csv", encoding="cp1252") == ("not_utf8" if code == "not_csv" else code)


@pytest.mark.parametrize(("rows", "fits"), [(3, True), (4, False)])
def test_rows_are_counted_over_the_file(rows, fits, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 4)
    content = b"record_id,sex\n" + b"MTP-001,F\n" * rows

    if fits:
        assert len(read_file("file.csv", content).rows) == rows
    else:
        assert code_of(content, "file.csv") == "too_many_rows"


@pytest.mark.parametrize(("cells", "fits"), [(4, True), (3, False)])
def test_cells_are_counted_over_the_file(cells, fits, monkeypatch):
    monkeypatch.setattr(tables, "MAX_CELLS", cells)

    if fits:
        assert read(workbook()) == [("MTP-001", {"sex": "F"})]
    else:
        assert code_of(workbook()) == "too_many_cells"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("record_id,ae_term\nMTP-001,Érythème\n".encode(), "utf-8"),
        ("\ufeffrecord_id,ae_term\r\nMTP-001,Érythème\r\n".encode(), "utf-8"),
        ("record_id;ae_term\nMTP-001;Érythème\n".encode("cp1252"), "cp1252"),
        ("record_id\tae_term\nMTP-001\tÉrythème\n".encode(), "utf-8"),
    ],
)
def test_csv_of_excel_is_read(text, encoding):
    (row,) = read_file("file.csv", text, encoding=encoding).rows

    assert (row.form.form_name(), row.cells) == ("adverse_event", {"ae_term": "Érythème"})


def test_lines_are_counted_as_an_editor_does():
    table = read_csv(b'record_id,ae_term\n\nMTP-001,"a\nb"\nMTP-002,c\n', encoding="utf-8", counted=Counted())

    assert [line for line, _cells in table.rows] == [1, 3, 5]


# Cells


def cells_of(xml, **parts):
    content = workbook(
        {"xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{xml}</sheetData></worksheet>", **parts}
    )
    (table,) = [list(table.rows) for table in read_xlsx(content, counted=Counted())]
    return table


@pytest.mark.parametrize(
    ("cell", "content"),
    [
        ("<c><v>5</v></c>", "5"),
        ("<c><v>2.5049999999999999</v></c>", "2.505"),
        ("<c><v>1E-3</v></c>", "0.001"),
        ("<c><v>-0</v></c>", "0"),
        ("<c><v>100</v></c>", "100"),
        ('<c t="b"><v>1</v></c>', "1"),
        ('<c t="b"><v>0</v></c>', "0"),
        ('<c t="str"><v>text</v></c>', "text"),
        ('<c t="inlineStr"><is><r><t>a</t></r><r><t> b</t></r><rPh><t>x</t></rPh></is></c>', "a b"),
        ('<c t="inlineStr"><is><t>a_x000D_b_x005F_x0041_</t></is></c>', "a\rb_x0041_"),
        ('<c t="d"><v>2024-03-12T00:00:00</v></c>', "2024-03-12"),
        ('<c t="inlineStr"><is><t>=1+1</t></is></c>', "=1+1"),
    ],
)
def test_what_a_cell_says_is_read_as_excel_shows_it(cell, content):
    assert cells_of(f"<row>{cell}</row>") == [(1, {0: content})]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("<c><f>1+1</f><v>2</v></c>", "formula"),
        ('<c t="str"><f>HYPERLINK("http://x")</f><v>x</v></c>', "formula"),
        ('<c><f t="shared" si="0"/></c>', "formula"),
        ('<c t="e"><v>#REF!</v></c>', "formula_error"),
    ],
)
def test_a_formula_is_no_value(cell, code):
    ((_line, cells),) = cells_of(f"<row>{cell}</row>")

    assert isinstance(cells[0], Wrong)
    assert cells[0].code == code


@pytest.mark.parametrize(
    "cell",
    [
        '<c t="s"><v>7</v></c>',
        '<c t="s"><v>-1</v></c>',
        "<c><v>NaN</v></c>",
        "<c><v>1e999</v></c>",
        "<c><v>x</v></c>",
        '<c r="ZZZ9999999999"><v>1</v></c>',
        '<c r="A1"><v>1</v></c><c r="A1"><v>2</v></c>',
    ],
)
def test_a_cell_that_makes_no_sense_makes_the_workbook_unreadable(cell):
    with pytest.raises(FileRefused, match="not_xlsx"):
        cells_of(f"<row>{cell}</row>")


def test_days_are_read_from_numbers_that_are_shown_as_days():
    book = openpyxl.Workbook()
    book.active.append([date(2024, 3, 12), 45363, 2024, "2024-03"])
    file = io.BytesIO()
    book.save(file)

    (table,) = [list(table.rows) for table in read_xlsx(file.getvalue(), counted=Counted())]

    assert table == [(1, {0: "2024-03-12", 1: "45363", 2: "2024", 3: "2024-03"})]


def test_days_are_counted_from_1904_where_the_workbook_says_so():
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append([date(2024, 3, 12)])
    file = io.BytesIO()
    book.save(file)

    (table,) = [list(table.rows) for table in read_xlsx(file.getvalue(), counted=Counted())]

    assert table == [(1, {0: "2024-03-12"})]


def test_half_a_character_is_noted_at_its_cell():
    content = sheet(CELLS + ROW.replace(">F<", ">_xD800_<"))

    (row,) = read_file("file.xlsx", content).rows

    assert [(name, code) for name, code, _words in row.unread] == [("sex", "unprintable")]


def test_sheets_of_no_form_are_named():
    parts = {
        "xl/workbook.xml": PARTS["xl/workbook.xml"].replace(
            "<sheets>", '<sheets><sheet name="My notes" r:id="rId2"/><sheet name="codebook" r:id="rId2"/>'
        ),
        "xl/_rels/workbook.xml.rels": PARTS["xl/_rels/workbook.xml.rels"].replace(
            "</R", '<Relationship Id="rId2" Target="worksheets/sheet2.xml"/></R'
        ),
        "xl/worksheets/sheet2.xml": f"<worksheet {MAIN}><sheetData><row><c><v>1</v></c></row></sheetData></worksheet>",
    }

    assert read_file("file.xlsx", workbook(parts)).ignored == ["My notes"]
