from dataclasses import replace

import pytest

from registry.rights import MATRIX, Caller, Right, Role, everything, rights_of

SITES = frozenset({"MTP", "NIM", "STR"})
COORDINATOR, INVESTIGATOR, MANAGER, MONITOR = "coordinator", "investigator", "data_manager", "monitor"

# Source: docs/architecture.md, "Roles": which roles hold each right.
AGREED = {
    "read": {COORDINATOR, INVESTIGATOR, MANAGER, MONITOR},
    "enter": {COORDINATOR, MANAGER},
    "open_query": {INVESTIGATOR, MANAGER, MONITOR},
    "answer_query": {COORDINATOR, MANAGER},
    "close_query": {MANAGER, MONITOR},
    "lock": {MANAGER},
    "verify": {MONITOR},
    "sign": {INVESTIGATOR},
    "see_pooled_endpoints": {COORDINATOR, INVESTIGATOR, MANAGER, MONITOR},
    "export_with_identifiers": {COORDINATOR, INVESTIGATOR, MANAGER},
    "export_pooled_deidentified": {INVESTIGATOR, MANAGER},
    "export_pooled_with_identifiers": {MANAGER},
    "manage": {MANAGER},
}


def test_the_matrix_is_the_agreed_table():
    assert {right.value: {role.value for role in Role if right in MATRIX[role]} for right in Right} == AGREED


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_a_role_at_a_site_gives_its_rights_there_and_nowhere_else(role, right):
    caller = Caller(1, "somebody", rights_of(((role, "NIM"),), sites=SITES))
    holds = role in AGREED[right]

    assert caller.may(right, at="NIM") is holds
    assert caller.may_anywhere(right) is holds
    assert caller.sites_with(right) == ({"NIM"} if holds else set())
    assert not any(caller.may(right, at=other) for other in ("MTP", "STR", "", "nim"))


@pytest.mark.parametrize("role", Role)
def test_a_role_at_all_sites_gives_its_rights_at_each(role):
    found = rights_of(((role, None),), sites=SITES)

    assert found == dict.fromkeys(MATRIX[role], SITES)


def test_the_rights_of_several_roles_add_up_site_by_site():
    found = rights_of(((COORDINATOR, "MTP"), (MONITOR, None)), sites=SITES)

    assert found[Right.ENTER] == {"MTP"}
    assert found[Right.READ] == SITES
    assert found[Right.VERIFY] == SITES


def test_one_site_narrows_every_right_to_it():
    found = rights_of(((COORDINATOR, "MTP"), (MONITOR, None)), sites=SITES, only_site="NIM")

    assert Right.ENTER not in found
    assert set(map(frozenset, found.values())) == {frozenset({"NIM"})}


@pytest.mark.parametrize("roles", [(), ((COORDINATOR, "ZZZ"),), ((MANAGER, None),)])
def test_no_role_an_unknown_site_and_no_sites_at_all_give_nothing(roles):
    sites = SITES if roles != ((MANAGER, None),) else frozenset()

    assert rights_of(roles, sites=sites) == {}


def test_an_unknown_role_is_an_error_and_not_a_right():
    with pytest.raises(ValueError, match="superuser"):
        rights_of((("superuser", None),), sites=SITES)


def test_who_holds_nothing_may_nothing():
    nobody = Caller(1, "nobody", {})

    assert not any(
        nobody.may(right, at="MTP") or nobody.may_anywhere(right) or nobody.sites_with(right) for right in Right
    )


def test_everything_is_every_right_at_every_site():
    assert everything(sites=SITES) == dict.fromkeys(Right, SITES)
    assert replace(Caller(None, "system", everything(sites=SITES))).may(Right.SIGN, at="STR")
