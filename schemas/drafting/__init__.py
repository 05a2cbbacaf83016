"""Drafts of contracts: from a table and a bounded sample of its rows to a proposed contract. Pure.

The sample's values go in and only shapes and counts come out: nothing that is made here holds a value of a
person. ``producers.introspection`` reads tables; ``lienthong contracts draft`` puts both together.
"""
