"""Promise room: what a provincial dataset is, what the nation expects of it, how one becomes the other.

Takes:    contracts, national formats and code lists as files; batches of records as bytes or Polars frames.
Gives:    decoded, checked, translated and encoded batches; rejects that name row, field and rule. The same
          input always gives the same output.
May import its own room only. No Kafka, no SQL, no clock.
"""
