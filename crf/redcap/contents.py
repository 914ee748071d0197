"""Who answers what: a small registry of contents and actions, with the right that each needs.

Each area is a module of its own that registers its functions with `answers`; `door.py` imports them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from django.http.response import HttpResponseBase

from crf.redcap.calls import Call, FormData
from crf.redcap.errors import ApiError
from registry.rights import Caller, Right

Answer = Callable[[Call], HttpResponseBase]


class Need(Enum):
    """What a caller must be allowed to do somewhere, in our rights and in REDCap's words for who is not."""

    NOTHING = None, ""
    READ = Right.READ, "You do not have API Export privileges"
    EXPORT = Right.EXPORT_WITH_IDENTIFIERS, "You do not have API Export privileges"
    IMPORT = Right.ENTER, "You do not have API Import/Update privileges"
    DELETE = Right.ENTER, "You do not have Delete Record privileges"
    RENAME = Right.ENTER, "You do not have Rename Record privileges"
    MANAGE = Right.MANAGE, "You do not have User Rights privileges"

    def require(self, by: Caller) -> None:
        """Raise the 403 of REDCap unless the caller holds the right at one site at least."""
        right, text = self.value
        if right is not None and not by.may_anywhere(right):
            raise ApiError(text, status=403)


@dataclass(frozen=True)
class Entry:
    """One content and action."""

    answer: Answer
    need: Need
    own_transaction: bool


_ENTRIES: dict[str, dict[str, Entry]] = {}
_MUST_NAME_THE_ACTION = frozenset({"file"})


def answers(
    content: str, action: str = "export", *, need: Need = Need.READ, own_transaction: bool = False
) -> Callable[[Answer], Answer]:
    """Register a function as the answer to one content and action.

    It runs inside the transaction of the call, unless it streams its answer and opens one itself.
    """

    def register(answer: Answer) -> Answer:
        _ENTRIES.setdefault(content, {})[action] = Entry(answer, need, own_transaction)
        return answer

    return register


def registered() -> Mapping[str, Mapping[str, Entry]]:
    """Return every content with its actions."""
    return _ENTRIES


def find_entry(data: FormData) -> tuple[str, str, Entry]:
    """Return content, action and who answers; data without an action are an import. Raises ApiError."""
    content, action = data.fields.get("content", "").strip(), data.fields.get("action", "").strip()
    actions = _ENTRIES.get(content)
    if actions is None:
        raise ApiError('The value of the parameter "content" is not valid')
    if action in ("", "export") and content not in _MUST_NAME_THE_ACTION:
        action = "import" if "data" in data.fields and "import" in actions else "export"
    if action not in actions:
        raise ApiError('The value of the parameter "action" is not valid')
    return content, action, actions[action]
