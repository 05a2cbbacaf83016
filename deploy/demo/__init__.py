"""The demo: a road with real parts, a story told on it, and an oracle that checks every row of the result.

``births`` knows a fictional birth first and renders it as a legacy row afterwards, so the expected national
row is computed without our mapping. ``oracle`` keeps what the store must hold; ``story`` runs the real road.
``births``, ``changes`` and ``oracle`` import nothing of the four rooms: that is what makes the oracle one.
"""
