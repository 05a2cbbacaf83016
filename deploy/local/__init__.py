"""A real Kafka and a real PostgreSQL on this machine, with nothing installed but Python.

Takes:    a folder for their state.
Gives:    ``KafkaNode`` and ``PostgresNode`` for tests and the demo, and ``python -m deploy.local``.
Both listen on loopback only, on ports found free; they are found again, and ended, by process id and start
time.
"""
