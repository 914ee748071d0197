"""ISO 8601 and a decimal point, as values are typed and exported, so that no page shows one that cannot be typed."""

from typing import Final

DATE_FORMAT: Final = "Y-m-d"
TIME_FORMAT: Final = "H:i"
DATETIME_FORMAT: Final = "Y-m-d H:i"
YEAR_MONTH_FORMAT: Final = "Y-m"
MONTH_DAY_FORMAT: Final = "m-d"
SHORT_DATE_FORMAT: Final = DATE_FORMAT
SHORT_DATETIME_FORMAT: Final = DATETIME_FORMAT
FIRST_DAY_OF_WEEK: Final = 1
DATE_INPUT_FORMATS: Final = ["%Y-%m-%d"]
TIME_INPUT_FORMATS: Final = ["%H:%M", "%H:%M:%S"]
DATETIME_INPUT_FORMATS: Final = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]
DECIMAL_SEPARATOR: Final = "."
THOUSAND_SEPARATOR: Final = ""
NUMBER_GROUPING: Final = 0
