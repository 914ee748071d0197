"""The data dictionary, made from the forms: REDCap's eighteen columns, one row a variable."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from crf.fields import TODAY, Variable
from crf.forms import Form, all_forms

COLUMNS: Mapping[str, str] = {
    "field_name": "Variable / Field Name",
    "form_name": "Form Name",
    "section_header": "Section Header",
    "field_type": "Field Type",
    "field_label": "Field Label",
    "select_choices_or_calculations": "Choices, Calculations, OR Slider Labels",
    "field_note": "Field Note",
    "text_validation_type_or_show_slider_number": "Text Validation Type OR Show Slider Number",
    "text_validation_min": "Text Validation Min",
    "text_validation_max": "Text Validation Max",
    "identifier": "Identifier?",
    "branching_logic": "Branching Logic (Show field only if...)",
    "required_field": "Required Field?",
    "custom_alignment": "Custom Alignment",
    "question_number": "Question Number (surveys only)",
    "matrix_group_name": "Matrix Group Name",
    "matrix_ranking": "Matrix Ranking?",
    "field_annotation": "Field Annotation",
}
"""The heading of each column in REDCap's CSV file, by its name in REDCap's API."""


def dictionary_rows() -> list[dict[str, str]]:
    """Return the dictionary: a row a variable, every form in its order, keyed by the column names of REDCap's API."""
    return [row for form in all_forms() for row in _rows_of(form)]


def dictionary_csv() -> str:
    """Return the dictionary as REDCap's CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS.values())
    writer.writerows([row[name] for name in COLUMNS] for row in dictionary_rows())
    return text.getvalue()


def _rows_of(form: type[Form]) -> Iterator[dict[str, str]]:
    for name, variable in form.variables().items():
        told = {
            "field_name": name,
            "form_name": form.form_name(),
            "section_header": variable.section,
            "field_type": variable.field_type,
            "field_label": variable.label,
            "select_choices_or_calculations": variable.choices_text(),
            "field_note": variable.note,
            "text_validation_type_or_show_slider_number": variable.validation,
            "text_validation_min": _limit(variable.minimum),
            "text_validation_max": _maximum(variable),
            "identifier": "y" if variable.identifier else "",
            "branching_logic": variable.show_if,
            "required_field": "y" if variable.required else "",
            "field_annotation": variable.annotation(),
        }
        yield {column: told.get(column, "") for column in COLUMNS}


def _maximum(variable: Variable) -> str:
    return TODAY if variable.minimum is not None and variable.max_is_today else _limit(variable.maximum)


def _limit(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)
