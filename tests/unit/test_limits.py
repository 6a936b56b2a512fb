"""How many connections come from one place."""

from streaming.limits import ConnectionLimiter


def test_a_place_takes_so_many_and_one_more_when_one_has_left() -> None:
    limiter = ConnectionLimiter(2)
    assert [limiter.take("here") for _ in range(3)] == [True, True, False]
    assert limiter.take("there")
    limiter.leave("here")
    assert [limiter.take("here") for _ in range(2)] == [True, False]


def test_a_place_that_all_have_left_is_forgotten() -> None:
    limiter = ConnectionLimiter(1)
    assert limiter.take("here")
    assert not limiter.take("here")
    limiter.leave("here")
    assert limiter.taken == {}


def test_no_limit_takes_any_number() -> None:
    limiter = ConnectionLimiter(0)
    assert all(limiter.take("here") for _ in range(1000))
