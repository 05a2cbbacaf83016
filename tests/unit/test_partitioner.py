"""The columnar partitioner equals Kafka's default one, as aiokafka restates it."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.partitioner import partitions_of


@given(st.lists(st.binary(max_size=40), max_size=60), st.integers(min_value=1, max_value=50))
def test_every_key_goes_where_every_other_producer_puts_it(keys: list[bytes], partitions: int) -> None:
    expected = [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert partitions_of(keys, partitions) == expected
