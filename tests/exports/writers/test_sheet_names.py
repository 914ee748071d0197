import pytest

from exports.writers.sheet_names import SheetNames


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("adverse_event", "adverse_event"),
        ("n" * 31, "n" * 31),
        ("n" * 32, "n" * 31),
        ("\U0001f9ec" * 15 + "n", "\U0001f9ec" * 15 + "n"),  # 31 UTF-16 code units
        ("\U0001f9ec" * 16, "\U0001f9ec" * 15),  # 32 of them
        ("[a]:b*c?d/e\\f", "_a__b_c_d_e_f"),
        ("'quoted'", "quoted"),
        ("n" * 30 + "'s", "n" * 30),
        ("don't", "don't"),
        ("", "sheet"),
        ("''", "sheet"),
        ("history", "history_2"),
        ("Histories", "Histories"),
        ("=1+1", "=1+1"),
        ("a\x00b\rc\ud800", "a_b_c_"),
        ("_x0041_", "-x0041_"),
    ],
)
def test_a_sheet_gets_a_name_that_excel_accepts(wanted, given):
    assert SheetNames().take(wanted) == given


def test_names_that_differ_only_in_case_or_width_are_numbered():
    names = SheetNames()

    given = [names.take(wanted) for wanted in ("dosing", "Dosing", "\uff24\uff2f\uff33\uff29\uff2e\uff27", "dosing_2")]

    assert given == ["dosing", "Dosing_2", "\uff24\uff2f\uff33\uff29\uff2e\uff27_3", "dosing_2_2"]


def test_a_long_name_gives_way_to_its_number():
    names = SheetNames()

    given = [names.take("n" * 40) for _ in range(2)]

    assert given == ["n" * 31, "n" * 29 + "_2"]


def test_a_freed_name_can_be_taken_again():
    names = SheetNames()
    names.free(names.take("long_text"))

    assert names.take("long_text") == "long_text"
