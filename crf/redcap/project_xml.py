"""The project as CDISC ODM 1.3.1, as REDCap writes it: the design, and with it the data if they are asked for."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from django.http.response import HttpResponseBase

from crf.fields import CheckboxField, DateField, DecimalField, IntegerField, Variable, YesNoField
from crf.forms import Form, all_forms, repeating_forms
from crf.redcap.calls import Call
from crf.redcap.cells import values_by_name
from crf.redcap.columns import RECORD_ID, Part, asked_for, checkbox_columns, everything_of, status_name
from crf.redcap.contents import Need, answers
from crf.redcap.disclosures import note_records
from crf.redcap.errors import XML_PREFIX
from crf.redcap.groups import unique_name
from crf.redcap.project import TITLE, VERSION
from crf.redcap.selection import selected_records
from crf.redcap.stored import Record, Stored, read_records
from crf.redcap.streams import streamed
from crf.redcap.tables import attribute

NAMESPACES = (
    'xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:redcap="https://projectredcap.org"'
)
STUDY = "Project.Ecrf"
DESIGN = "Metadata.Ecrf"
STATUS_CODES = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}


@answers("project_xml", need=Need.EXPORT, own_transaction=True)
def project_xml(call: Call) -> HttpResponseBase:
    """Stream the design and, unless only metadata are wanted, the data."""
    if call.flag("returnMetadataOnly") or call.flag("returnMetaDataOnly"):
        return streamed(lambda: iter([*_head(), _design(), _foot()]), by=call.by, reason=call.reason, form="xml")
    return clinical_document(call)


def clinical_document(call: Call) -> HttpResponseBase:
    """Stream design and data of the records that the call selects."""
    everything = not (call.array("fields") or call.array("forms"))
    asked = everything_of(all_forms()) if everything else asked_for(call)
    selection = selected_records(call, filter_logic=call.text("filterLogic"))
    groups = call.flag("exportDataAccessGroups")
    note_records(call, selection, parts=asked.parts)

    def parts() -> Iterator[str]:
        yield from [*_head(), _design()]
        yield f'<ClinicalData StudyOID="{STUDY}" MetaDataVersionOID="{DESIGN}">\n'
        for records in read_records(selection, parts=asked.parts, whole=True):
            yield "".join(_subject(record, asked.parts, groups=groups) for record in records)
        yield f"</ClinicalData>\n{_foot()}"

    return streamed(parts, by=call.by, reason=call.reason, form="xml")


def _head() -> Sequence[str]:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    title = attribute(TITLE)
    return [
        f"{XML_PREFIX}\n<ODM {NAMESPACES}"
        f' ODMVersion="1.3.1" FileOID="000-00-0000" FileType="Snapshot" Description="{title}"'
        f' AsOfDateTime="{now}" CreationDateTime="{now}" SourceSystem="REDCap" SourceSystemVersion="{VERSION}">\n'
    ]


def _foot() -> str:
    return "</ODM>\n"


def _design() -> str:
    title = attribute(TITLE)
    repeating = "".join(
        f'<redcap:RepeatingInstrument redcap:UniqueEventName="event_1_arm_1"'
        f' redcap:RepeatInstrument="{form.form_name()}" redcap:CustomLabel=""/>'
        for form in repeating_forms()
    )
    forms = "".join(_form_definition(form) for form in all_forms())
    groups = "".join(_group_definitions(form) for form in all_forms())
    items = "".join(_item_definitions(form) for form in all_forms())
    lists = "".join(_code_lists(form) for form in all_forms())
    return (
        f'<Study OID="{STUDY}">\n<GlobalVariables><StudyName>{title}</StudyName>'
        f"<StudyDescription>{title}</StudyDescription><ProtocolName>{title}</ProtocolName>"
        "<redcap:RecordAutonumberingEnabled>1</redcap:RecordAutonumberingEnabled>"
        "<redcap:SurveysEnabled>0</redcap:SurveysEnabled>"
        "<redcap:RepeatingInstrumentsAndEvents><redcap:RepeatingInstruments>"
        f"{repeating}</redcap:RepeatingInstruments></redcap:RepeatingInstrumentsAndEvents></GlobalVariables>\n"
        f'<MetaDataVersion OID="{DESIGN}" Name="{title}" redcap:RecordIdField="{RECORD_ID}">\n'
        f"{forms}{groups}{items}{lists}</MetaDataVersion>\n</Study>\n"
    )


def _groups_of(form: type[Form]) -> list[list[str]]:
    """Return the runs of variables under one section header; the status is a group of its own."""
    groups: list[list[str]] = []
    for name, variable in form.variables().items():
        if variable.section or not groups:
            groups.append([])
        groups[-1].append(name)
    return [*groups, [status_name(form)]]


def _form_definition(form: type[Form]) -> str:
    name, title = form.form_name(), attribute(form.title())
    groups = "".join(f'<ItemGroupRef ItemGroupOID="{name}.{group[0]}" Mandatory="No"/>' for group in _groups_of(form))
    return f'<FormDef OID="Form.{name}" Name="{title}" Repeating="No" redcap:FormName="{name}">{groups}</FormDef>\n'


def _group_definitions(form: type[Form]) -> str:
    name, title, found = form.form_name(), attribute(form.title()), []
    for group in _groups_of(form):
        items = "".join(
            f'<ItemRef ItemOID="{oid}" Mandatory="No" redcap:Variable="{variable}"/>'
            for variable in group
            for oid in _item_oids(form, variable)
        )
        found.append(f'<ItemGroupDef OID="{name}.{group[0]}" Name="{title}" Repeating="No">{items}</ItemGroupDef>\n')
    return "".join(found)


def _item_oids(form: type[Form], name: str) -> list[str]:
    variable = form.variables().get(name)
    return list(checkbox_columns(name, variable)) if isinstance(variable, CheckboxField) else [name]


def _item_definitions(form: type[Form]) -> str:
    found = []
    for name, variable in form.variables().items():
        described = f'redcap:Variable="{name}" redcap:FieldType="{variable.field_type}"'
        if variable.validation:
            described += f' redcap:TextValidationType="{variable.validation}"'
        if note := attribute(variable.note):
            described += f' redcap:FieldNote="{note}"'
        for oid in _item_oids(form, name):
            coded = _has_choices(variable) and f'<CodeListRef CodeListOID="{oid}.choices"/>'
            found.append(
                f'<ItemDef OID="{oid}" Name="{oid}" DataType="{_data_type(variable)}" Length="999" {described}>'
                f"<Question><TranslatedText>{attribute(variable.label)}</TranslatedText></Question>{coded or ''}"
                "</ItemDef>\n"
            )
    status = status_name(form)
    found.append(
        f'<ItemDef OID="{status}" Name="{status}" DataType="text" Length="1" redcap:Variable="{status}"'
        ' redcap:FieldType="select"><Question><TranslatedText>Complete?</TranslatedText></Question>'
        f'<CodeListRef CodeListOID="{status}.choices"/></ItemDef>\n'
    )
    return "".join(found)


def _code_lists(form: type[Form]) -> str:
    found = []
    for name, variable in form.variables().items():
        if isinstance(variable, CheckboxField):
            for column, code in checkbox_columns(name, variable).items():
                found.append(_code_list(column, name, {"1": "Checked", "0": "Unchecked"}, variable.codes[code]))
        elif _has_choices(variable):
            found.append(_code_list(name, name, dict(variable.codes), ""))
    status = status_name(form)
    return "".join([*found, _code_list(status, status, STATUS_CODES, "")])


def _code_list(oid: str, name: str, codes: dict[str, str], choice: str) -> str:
    told = f' redcap:CheckboxChoices="{attribute(choice)}"' if choice else ""
    items = "".join(
        f'<CodeListItem CodedValue="{attribute(code)}"><Decode><TranslatedText>{attribute(label)}</TranslatedText>'
        "</Decode></CodeListItem>"
        for code, label in codes.items()
    )
    described = f'OID="{oid}.choices" Name="{oid}" DataType="text" redcap:Variable="{name}"{told}'
    return f"<CodeList {described}>{items}</CodeList>\n"


def _has_choices(variable: Variable) -> bool:
    return bool(variable.codes)


def _data_type(variable: Variable) -> str:
    if isinstance(variable, DateField):
        return "date"
    if isinstance(variable, IntegerField):
        return "integer"
    if isinstance(variable, YesNoField):
        return "boolean"
    return "float" if isinstance(variable, DecimalField) else "text"


def _subject(record: Record, parts: Sequence[Part], *, groups: bool) -> str:
    told = f' redcap:DataAccessGroup="{unique_name(record.site)}"' if groups else ""
    forms = "".join(
        _form_data(record, part, entry)
        for part, entries in zip(parts, record.entries, strict=True)
        for entry in entries
    )
    key = f'SubjectKey="{record.record_id}" redcap:RecordIdField="{RECORD_ID}"{told}'
    return f"<SubjectData {key}>\n{forms}</SubjectData>\n"


def _form_data(record: Record, part: Part, entry: Stored) -> str:
    """Return the data of one entry; a ticked box is an item with the value 1."""
    texts = _items(record, part, entry)
    groups = []
    for group in _groups_of(part.form):
        items = "".join(
            f'<ItemData ItemOID="{oid}" Value="{attribute(texts[oid])}"/>'
            for variable in group
            for oid in _item_oids(part.form, variable)
            if oid in texts
        )
        if items:
            name = f"{part.form.form_name()}.{group[0]}"
            groups.append(f'<ItemGroupData ItemGroupOID="{name}" ItemGroupRepeatKey="1">{items}</ItemGroupData>')
    key = f'FormOID="Form.{part.form.form_name()}" FormRepeatKey="{entry.instance}"'
    return f"<FormData {key}>{''.join(groups)}</FormData>\n"


def _items(record: Record, part: Part, entry: Stored) -> dict[str, str]:
    texts = {} if part.form.repeating else {RECORD_ID: record.record_id}
    for name, value in values_by_name(part, entry).items():
        variable = part.variables[name]
        if isinstance(variable, CheckboxField):
            columns = checkbox_columns(name, variable).items()
            reason = value if isinstance(value, str) else None
            texts |= {column: reason or "1" for column, code in columns if reason or code in value}
        else:
            texts[name] = value
    return texts | ({part.status_name: entry.status} if part.status else {})
