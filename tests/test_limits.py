"""How many connections come from one place."""

from streaming.limits import Places


def test_a_place_takes_so_many_and_one_more_when_one_has_left() -> None:
    places = Places(2)
    assert [places.take("here") for _ in range(3)] == [True, True, False]
    assert places.take("there")
    places.leave("here")
    assert [places.take("here") for _ in range(2)] == [True, False]


def test_a_place_that_all_have_left_is_forgotten() -> None:
    places = Places(1)
    assert places.take("here")
    assert not places.take("here")
    places.leave("here")
    assert places.taken == {}


def test_no_limit_takes_any_number() -> None:
    places = Places(0)
    assert all(places.take("here") for _ in range(1000))
