"""How the parts of an address that name patients, instances and rows are written, in the API and on pages."""

from django.urls import register_converter


class RecordIdConverter:
    """The record id of a patient in an address."""

    regex = "[A-Z][A-Z0-9]{1,7}-[0-9]{3,7}"

    def to_python(self, value: str) -> str:
        """Return the record id."""
        return value

    def to_url(self, value: str) -> str:
        """Return the record id."""
        return value


class InstanceConverter:
    """The number of an instance: from 1, without leading zeros, never beyond what the column holds."""

    regex = "[1-9][0-9]{0,4}"

    def to_python(self, value: str) -> int:
        """Return the number; ValueError makes the address one that does not exist."""
        if int(value) > 32_767:
            raise ValueError
        return int(value)

    def to_url(self, value: int) -> str:
        """Return the digits."""
        return str(value)


class RowConverter:
    """The key of a row in an address: from 1, never beyond what the column holds."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """Return the key."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Return the digits."""
        return str(value)


class FileNameConverter:
    """The name of a stored file in an address: that of its variable, digits of its digest, and its ending."""

    regex = r"[a-z][a-z0-9_]{0,99}_[0-9a-f]{16}\.(?:jpg|png)"

    def to_python(self, value: str) -> str:
        """Return the name."""
        return value

    def to_url(self, value: str) -> str:
        """Return the name."""
        return value


register_converter(FileNameConverter, "file_name")
register_converter(RecordIdConverter, "record_id")
register_converter(InstanceConverter, "instance")
register_converter(RowConverter, "row")
