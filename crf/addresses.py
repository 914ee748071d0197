"""What stands in the addresses of patients' data, for the REST API and the pages alike."""

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


register_converter(RecordIdConverter, "record_id")
register_converter(InstanceConverter, "instance")
register_converter(RowConverter, "row")
