"""How many connections come from one address."""

from streaming.limits import ConnectionLimiter


def test_an_address_has_so_many_connections_and_one_more_when_one_has_ended() -> None:
    limiter = ConnectionLimiter(2)
    assert [limiter.acquire("here") for _ in range(3)] == [True, True, False]
    assert limiter.acquire("there")
    limiter.release("here")
    assert [limiter.acquire("here") for _ in range(2)] == [True, False]


def test_an_address_without_connections_is_forgotten() -> None:
    limiter = ConnectionLimiter(1)
    assert limiter.acquire("here")
    assert not limiter.acquire("here")
    limiter.release("here")
    assert limiter.counts == {}


def test_no_limit_allows_any_number() -> None:
    limiter = ConnectionLimiter(0)
    assert all(limiter.acquire("here") for _ in range(1000))
