"""Filters: REDCap's filterLogic as conditions of the database, for whatever lists, exports or reports entries."""

from crf.expressions import ExpressionError as FilterError
from crf.filters.conditions import Asked
from crf.filters.logic import Filter, parse_filter

__all__ = ["Asked", "Filter", "FilterError", "parse_filter"]
