"""That everything people read is there in French: extracted anew, as `bin/messages` does, and looked for in pages."""

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from registry.environment import PROJECT

PACKAGES = ("registry", "crf", "exports")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")
FIELD = re.compile(r'^(msgctxt|msgid|msgid_plural|msgstr)(?:\[\d\])? (".*")$')
XGETTEXT = shutil.which("xgettext")
needs_gettext = pytest.mark.skipif(
    XGETTEXT is None and "REQUIRE_GETTEXT" not in os.environ, reason="No GNU gettext here. As root: apt install gettext"
)


def catalogue(package, root=PROJECT):
    return root / package / "locale" / "fr" / "LC_MESSAGES" / "django.po"


def entries(file):
    """Return the entries of a catalogue: what is translated (its context, text and plural) and all that it becomes."""
    found = {}
    for block in file.read_text().split("\n\n"):
        fields, name = {"msgstr": []}, ""
        for line in block.splitlines():
            if match := FIELD.match(line):
                name = match[1]
                fields[name] = [*fields.get(name, []), ast.literal_eval(match[2])]
            elif line.startswith('"'):
                fields[name][-1] += ast.literal_eval(line)
        if fields.get("msgid", [""]) != [""]:
            key = tuple(fields.get(part, [None])[0] for part in ("msgctxt", "msgid", "msgid_plural"))
            found[key] = fields["msgstr"]
    return found


def compiled(file):
    with file.open("rb") as opened:
        return gettext.GNUTranslations(opened)._catalog


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A copy of the tree in which the messages were extracted anew."""
    assert XGETTEXT, "REQUIRE_GETTEXT is set and there is no xgettext. On Debian: apt install gettext"
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "manage.py", tree)
    without_servers = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "BROKER_URL": "redis://127.0.0.1:1/0",
        "MAKE_SECRETS": "true",
        "VAR_DIR": str(tree / "var"),
    }
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "fr", "--no-location", "--no-obsolete", "--no-wrap"],
        cwd=tree,
        env=environment | without_servers,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return tree


@needs_gettext
@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_the_french_has_every_text_of_code_templates_and_forms_and_no_other(package, extracted):
    assert entries(catalogue(package)).keys() == entries(catalogue(package, extracted)).keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_in_the_french_is_untranslated_guessed_or_left_over(package):
    text = catalogue(package).read_text()

    assert [key for key, words in entries(catalogue(package)).items() if not all(words)] == []
    assert "#, fuzzy" not in text
    assert "#~" not in text


@pytest.mark.parametrize("package", PACKAGES)
def test_the_french_names_the_same_values_as_the_english(package):
    for (_context, text, plural), words in entries(catalogue(package)).items():
        for translated in words:
            # A plural may say "one" in words.
            allowed = [sorted(set(PLACEHOLDER.findall(english))) for english in (text, plural or text)]
            assert sorted(set(PLACEHOLDER.findall(translated))) in allowed, text


@pytest.mark.parametrize("package", PACKAGES)
def test_french_signs_stand_after_a_blank_that_does_not_break(package):
    for words in entries(catalogue(package)).values():
        for translated in words:
            assert re.findall(r"\w [:;?!»](?:\s|$)|« |[a-zé]'\w", translated) == [], translated


@needs_gettext
@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_read_at_run_time_is_what_was_translated(package, tmp_path):
    compile_it = [shutil.which("msgfmt"), "--check-format", "-o", tmp_path / "django.mo", catalogue(package)]
    subprocess.run(compile_it, check=True)

    assert compiled(catalogue(package).with_suffix(".mo")) == compiled(tmp_path / "django.mo")


# In code

IMMEDIATE = {"gettext", "ngettext", "pgettext", "npgettext"}


def frozen_translations(source):
    """Return the lines that translate once for everybody: while a module loads, or inside what is cached.

    What is cached for each language by itself has an argument of that name, or says which it means.
    """
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in IMMEDIATE
    }

    def visit(node, running):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = getattr(node, "decorator_list", [])
            cached = any("cache" in ast.unparse(decorator) for decorator in decorators)
            running = cached and not any("language" in argument.arg for argument in node.args.args)
        elif running and isinstance(node, ast.Raise):
            return  # what is raised is not kept
        elif isinstance(node, ast.With):
            running = running and not any("override" in ast.unparse(item) for item in node.items)
        elif running and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, running)

    return list(visit(tree, True))


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("TITLE = _('Patients')", [2]),
        ("@cache\ndef title():\n    return _('Patients')", [4]),
        ("@cached_property\ndef title(self):\n    return _('Patients')", [4]),
        ("@cache\ndef title():\n    with override('fr'):\n        return _('Patients')", []),
        ("@cache\ndef title(_language):\n    return _('Patients')", []),
        ("def title():\n    return _('Patients')", []),
        ("@cache\ndef title():\n    raise ValueError(_('Patients'))", []),
    ],
)
def test_a_translation_that_is_frozen_is_found(source, lines):
    assert frozen_translations(f"from django.utils.translation import gettext as _\n{source}") == lines


def test_nothing_is_translated_once_for_everybody():
    sources = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]

    assert len(sources) > 100
    assert {file.name: found for file in sources if (found := frozen_translations(file.read_text()))} == {}


# In templates

NAMES = {"eCRF", "REST API", "REDCap", "CSV", "Excel", "JSON", "XLSX", "PDF", "SHA-256", "UTC"}
"""What has the same name in every language."""
ATTRIBUTES = {"title", "aria-label", "aria-description", "aria-roledescription", "placeholder", "alt", "content"}
IN_ONE_LANGUAGE = {
    "registry/templates/registry/validation.html": "the report of a command, in the language of the files"
}
TRANSLATED = re.compile(
    r"{%\s*blocktrans(?:late)?\b.*?{%\s*endblocktrans(?:late)?\s*%}|{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL
)
UNSEEN = re.compile(r"{%\s*comment\b.*?{%\s*endcomment\s*%}|{% block layout %}[\w -]*{% endblock %}", re.DOTALL)
"""Comments, and the class of a page."""
LETTERS = re.compile(r"[^\W\d_]{2,}")


class Texts(HTMLParser):
    """Collects the texts and the attributes that people see or hear; code and keys are no words."""

    def __init__(self):
        super().__init__()
        self.found, self.unseen = [], 0

    OTHERS = ("script", "style", "code", "kbd")

    def handle_starttag(self, tag, attrs):
        self.unseen += tag in self.OTHERS
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value and tag != "meta"]

    def handle_endtag(self, tag):
        self.unseen -= tag in self.OTHERS

    def handle_data(self, data):
        if not self.unseen:
            self.found.append(data)


def untranslated(template):
    """Return the texts of a template that stand outside of its tags and are no names."""
    texts = Texts()
    texts.feed(TRANSLATED.sub("", UNSEEN.sub("", template)))
    texts.close()
    return [found.strip() for found in texts.found if LETTERS.search(found) and found.strip(" \n·,.:()") not in NAMES]


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Save</p>", ["Save"]),
        ("<p>{% translate 'Save' %} now</p>", ["now"]),
        ("<button title='Save'>{{ name }}</button>", ["Save"]),
        ("<input placeholder=\"{% translate 'Name' %}\"><b>eCRF</b>", []),
        ("<p>{% blocktranslate trimmed with a=b %}Save <b>{{ a }}</b>{% endblocktranslate %}</p>", []),
        ("<meta name='viewport' content='width=device-width'><script>let a = 1</script>", []),
    ],
)
def test_a_text_outside_of_the_tags_is_found(template, found):
    assert untranslated(template) == found


def test_no_template_says_anything_in_one_language_only():
    files = [file for package in PACKAGES for file in Path(PROJECT / package).rglob("templates/**/*.*")]
    by_name = {str(file.relative_to(PROJECT)): file.read_text() for file in files}

    assert len(by_name) > 20
    assert by_name.keys() >= IN_ONE_LANGUAGE.keys()
    found = {name: untranslated(text) for name, text in by_name.items() if name not in IN_ONE_LANGUAGE}
    assert {name: texts for name, texts in found.items() if texts} == {}
