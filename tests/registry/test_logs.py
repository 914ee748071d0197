"""What a log line says of an exception: where and of what kind, never its words."""

import logging
import logging.config
from io import StringIO

import pytest
from django.conf import settings

from registry.logs import WithoutTaskErrors, WithoutValues

OF_A_PATIENT = "born 1980-05-17"


@pytest.fixture
def log():
    """A logger with our formatter, and what it wrote."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(WithoutValues("%(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, written


def fail():
    try:
        raise KeyError(OF_A_PATIENT)
    except KeyError as error:
        raise ValueError(OF_A_PATIENT) from error


def test_an_exception_is_logged_with_its_cause_its_place_and_without_its_words(log):
    logger, written = log

    try:
        fail()
    except ValueError:
        logger.exception("it broke")

    assert OF_A_PATIENT not in written.getvalue()
    lines = written.getvalue().splitlines()
    assert lines[0] == "it broke"
    assert [line for line in lines if line.startswith("builtins.")] == ["builtins.KeyError", "builtins.ValueError"]
    assert any("in fail" in line for line in lines)


def test_what_a_task_raised_is_logged_without_its_words(log):
    logger, written = log
    logger.addFilter(WithoutTaskErrors())

    try:
        fail()
    except ValueError as error:
        context = {"name": "exports.recompute_stale", "exc": repr(error), "traceback": str(error)}
        logger.error("Task %(name)s raised unexpected: %(exc)s %(traceback)s", context, exc_info=True)

    assert written.getvalue().startswith("Task exports.recompute_stale raised unexpected: ValueError \n")
    assert OF_A_PATIENT not in written.getvalue()


def test_every_handler_of_the_settings_writes_so():
    logging.config.dictConfigClass(settings.LOGGING)  # it can be read

    formatters = {handler["formatter"] for handler in settings.LOGGING["handlers"].values()}
    assert {settings.LOGGING["formatters"][name]["()"] for name in formatters} == {"registry.logs.WithoutValues"}
