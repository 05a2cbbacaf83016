"""Capture room: every committed change of an agency's table becomes one numbered record on Kafka.

Takes:    the rows of a table in an agency's own PostgreSQL or SQLite database, by triggers that write an
          outbox in the clerk's transaction, and by a first snapshot.
Gives:    change events on ``province.<system>.<dataset>``: at least once, in order per source key, numbered
          per dataset without gaps; an outbox row is marked only when the broker has acknowledged it.
May import ``schemas`` and its own room. Never imports ``streams`` or ``consumers``.
"""
