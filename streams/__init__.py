"""The road: translates change events by contract and syncs them to national-format stores.

Takes:    change events from ``province.<system>.<dataset>``, at least once, in order per source key.
Gives:    ``national.<format>.v<N>`` records, rows in the store,
          ``rejected.<system>`` and ``receipts.<system>``.
Truth:    the offset ledger in the store's own transaction; Kafka's committed offsets are only a hint.
May import ``consumers`` and ``schemas``; the only room that knows Faust. Never imports ``producers``
(``streams.cli`` alone composes all rooms).
"""
