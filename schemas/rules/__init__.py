"""The kinds of rules a contract may use; a new one is a class with one small function, marked ``@kind``."""

from schemas.rules import cases, codes, dates, lists, numbers, parts, persons, text
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
    "cases",
    "codes",
    "dates",
    "lists",
    "numbers",
    "parts",
    "persons",
    "text",
]
