"""The kinds of variables a form is made of.

A variable is a Django model field that also carries what the data dictionary says of it. Declared once in a form, it
tells the database its column and constraints, and every door how to read a value (`read` from JSON, `parse` from CSV
text) and how to write it as text (`to_text`). Reading refuses with `Unreadable`: a stable code and words for the
coordinator. In migrations and history tables a variable is the plain Django field it is built on.
"""

from crf.fields.choices import CheckboxField, ChoiceField, DropdownField, RadioField, YesNoField
from crf.fields.dates import TODAY, DateField, PartialDateField
from crf.fields.numbers import DecimalField, IntegerField, NumberField
from crf.fields.texts import CONTROL, MAX_NOTES, MAX_TEXT, FileField, NotesField, TextField
from crf.fields.variable import Unreadable, Variable

__all__ = [
    "CONTROL",
    "MAX_NOTES",
    "MAX_TEXT",
    "TODAY",
    "CheckboxField",
    "ChoiceField",
    "DateField",
    "DecimalField",
    "DropdownField",
    "FileField",
    "IntegerField",
    "NotesField",
    "NumberField",
    "PartialDateField",
    "RadioField",
    "TextField",
    "Unreadable",
    "Variable",
    "YesNoField",
]
