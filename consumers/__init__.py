"""Apply room: national changes become rows, receipts, rejects, and typed records for a ministry.

Takes:    national changes from ``national.<format>.v<N>`` (kafka-python), or batches of them from the road.
Gives:    rows of a national-format store that equal the newest version of each record, and nothing else,
          with the offset ledger and the receipts in the same transaction; or typed records to a caller.
May import ``schemas`` and its own room. Never imports ``producers`` or ``streams``, and knows no Faust.
"""
