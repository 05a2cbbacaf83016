"""The shipped library for tests that change nothing of it.

Reading it takes a third of a second, and as long again what it works out of its code lists at first use.
"""

from functools import cache

from schemas.library import Library, load_library


@cache
def shipped() -> Library:
    """The library as it comes with the product, read once by each process of tests."""
    return load_library()
