"""The hand that writes a legacy cell: the same value, spelled the way real systems spell it."""

import random
import unicodedata

from deploy.demo.words import MISSING

Cell = str | int | bool | None
LegacyRow = dict[str, Cell]  #: column of ``ht_khaisinh`` -> what stands in it

NBSP = "\u00a0"
TONES = "\u0300\u0301\u0303\u0309\u0323"


def missing(rng: random.Random) -> str | None:
    """One of the many ways to say that nothing is known."""
    return rng.choice(MISSING)


def scribble(rng: random.Random, text: str | None) -> str | None:
    """``text`` as typed: mostly clean, sometimes decomposed or with stray spaces. None: missing."""
    if text is None:
        return missing(rng)
    chance = rng.random()
    if chance > 0.16:
        return text
    if chance < 0.04:
        return unicodedata.normalize("NFD", text)
    if chance < 0.06:
        return tones_apart(text)
    if chance < 0.09:
        return text.replace(" ", "  ")
    if chance < 0.11:
        return text.replace(" ", NBSP, 1)
    return rng.choice((f" {text}", f"{text} ", f"{text}{NBSP}", f"\t{text}", f"  {text}\t "))


def tones_apart(text: str) -> str:
    """Vietnamese as Windows-1258 stores it: vowels composed, tone marks after them. NFC puts it right."""
    composed: list[str] = []
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        tones = "".join(mark for mark in parts if mark in TONES)
        vowel = "".join(mark for mark in parts if mark not in TONES)
        composed.append(unicodedata.normalize("NFC", vowel) + tones)
    return "".join(composed)


def render_date(rng: random.Random, day: int | None, month: int | None, year: int) -> str:
    """d/M/yyyy, M/yyyy or yyyy with one of three separators, padded or not."""
    separator = "/" if rng.random() < 0.8 else rng.choice(".-")
    width = 2 if rng.random() < 0.8 else 1
    parts = [f"{part:0{width}d}" for part in (day, month) if part is not None]
    text = separator.join([*parts, str(year)])
    return text if rng.random() < 0.97 else f" {text}{NBSP}"
