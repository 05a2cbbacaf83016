"""The kinds of rules a contract may use; a new one is a class with one small function, marked ``@kind``."""

from schemas.rules import codes, dates, numbers, parts, persons, text
from schemas.rules.base import (
    CHECKS,
    RULES,
    Check,
    ColumnRule,
    Columns,
    Complaint,
    Given,
    Inputs,
    Of,
    Rule,
    Step,
    Unless,
)

__all__ = [
    "CHECKS",
    "RULES",
    "Check",
    "ColumnRule",
    "Columns",
    "Complaint",
    "Given",
    "Inputs",
    "Of",
    "Rule",
    "Step",
    "Unless",
    "codes",
    "dates",
    "numbers",
    "parts",
    "persons",
    "text",
]
