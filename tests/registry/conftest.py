"""The saved patients and second writers of the tests of the forms, for the tests of what forms stand on."""

from tests.crf.conftest import count, data_manager, patient

__all__ = ["count", "data_manager", "patient"]
