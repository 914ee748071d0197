import pytest

from exports.cuts import Cut, CutNotAllowed, Privacy, allowed_levels, authorise_cut, exportable_sites
from registry.rights import Caller, Role, rights_of

SITES = frozenset({"MTP", "NIM", "STR"})
ALL = tuple(Privacy)
DEIDENTIFIED = (Privacy.DEIDENTIFIED,)


def caller(*roles):
    """Return a caller with these pairs of a role and a site, None for all sites."""
    return Caller(person_id=1, username="somebody", rights=rights_of(tuple(roles), sites=SITES), sites=SITES)


def cut(*sites, privacy=Privacy.DEIDENTIFIED):
    return Cut(forms=("patient",), sites=sites, privacy=privacy)


@pytest.mark.parametrize(
    ("role", "at", "sites", "levels"),
    [
        (Role.COORDINATOR, "MTP", ["MTP"], ALL),
        (Role.COORDINATOR, "MTP", ["NIM"], ()),
        (Role.COORDINATOR, "MTP", ["MTP", "NIM"], ()),
        (Role.COORDINATOR, None, ["MTP", "NIM"], ()),
        (Role.INVESTIGATOR, "MTP", ["MTP"], ALL),
        (Role.INVESTIGATOR, "MTP", ["MTP", "NIM"], ()),
        (Role.INVESTIGATOR, None, ["NIM"], ALL),
        (Role.INVESTIGATOR, None, ["MTP", "NIM"], DEIDENTIFIED),
        (Role.DATA_MANAGER, "MTP", ["MTP"], ALL),
        (Role.DATA_MANAGER, None, ["MTP", "NIM", "STR"], ALL),
        (Role.MONITOR, None, ["MTP"], ()),
        (Role.MONITOR, None, ["MTP", "NIM"], ()),
        (Role.DATA_MANAGER, None, [], ()),
        (Role.DATA_MANAGER, None, ["ZZZ"], ()),
    ],
)
def test_each_role_may_export_what_the_table_of_roles_says(role, at, sites, levels):
    assert allowed_levels(caller((role, at)), sites=sites) == levels


@pytest.mark.parametrize("privacy", ALL)
def test_a_cut_at_an_allowed_level_is_not_refused(privacy):
    authorise_cut(caller((Role.COORDINATOR, "MTP")), cut("MTP", privacy=privacy))


@pytest.mark.parametrize(
    ("roles", "sites", "privacy", "words"),
    [
        ([(Role.INVESTIGATOR, None)], ["MTP", "NIM"], Privacy.FULL, "de-identified data only"),
        ([(Role.INVESTIGATOR, None)], ["MTP", "NIM"], Privacy.LIMITED, "de-identified data only"),
        ([(Role.COORDINATOR, "MTP")], ["MTP", "NIM"], Privacy.DEIDENTIFIED, "Choose one site of yours"),
        ([(Role.MONITOR, None)], ["MTP"], Privacy.DEIDENTIFIED, "None of your roles allows exports"),
        ([], ["MTP"], Privacy.DEIDENTIFIED, "None of your roles allows exports"),
    ],
)
def test_a_refusal_says_what_is_possible_instead(roles, sites, privacy, words):
    with pytest.raises(CutNotAllowed, match=words):
        authorise_cut(caller(*roles), cut(*sites, privacy=privacy))


def test_the_sites_that_can_be_exported_are_those_of_any_right_to_export():
    mixed = caller((Role.COORDINATOR, "MTP"), (Role.INVESTIGATOR, "NIM"), (Role.MONITOR, "STR"))

    assert exportable_sites(mixed) == {"MTP", "NIM"}


def test_a_cut_is_kept_as_json_values_and_comes_back():
    wanted = Cut(forms=("patient", "dosing"), sites=("MTP",), privacy=Privacy.LIMITED, labels=False)

    assert Cut.from_parameters(wanted.parameters()) == wanted
