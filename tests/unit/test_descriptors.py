"""Which connections may stay while file descriptors are scarce."""

import resource

import pytest

from streaming.engine.descriptors import DescriptorReserve


class Arrival:
    """A connection, as the reserve sees it."""

    def __init__(self, is_being_answered: bool = False) -> None:
        self.is_being_answered = is_being_answered
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True


def test_a_connection_stays_unless_its_descriptor_is_one_of_the_last() -> None:
    reserve = DescriptorReserve(files=1000)
    assert [reserve.admits(Arrival(), number, 0) for number in (20, 935, 936, 999)] == [True, True, False, False]
    assert [DescriptorReserve(files=40).admits(Arrival(), number, 0) for number in (29, 30)] == [True, False]


def test_a_process_that_may_open_any_number_keeps_every_connection() -> None:
    assert DescriptorReserve(files=resource.RLIM_INFINITY).admits(Arrival(), 10**9, 0)


def test_of_those_that_do_not_stay_the_oldest_goes_that_is_not_being_answered() -> None:
    reserve = DescriptorReserve(files=16)  # four are kept back: room for two
    answering, idle, third, fourth = (
        Arrival(is_being_answered=True),
        Arrival(),
        Arrival(),
        Arrival(is_being_answered=True),
    )
    for arrival in (answering, idle, third):
        assert not reserve.admits(arrival, 14, 9)
    assert [each.is_dropped for each in (answering, idle, third)] == [False, True, False]
    reserve.release(idle)
    reserve.release(third)
    reserve.admits(fourth, 14, 9)
    reserve.admits(Arrival(), 14, 9)  # all are being answered
    assert (answering.is_dropped, fourth.is_dropped) == (True, False)


def test_a_shortage_is_over_once_so_many_connections_have_ended_as_are_kept_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A single free descriptor is no sign of it: those of the process's own work come and go."""
    reserve = DescriptorReserve(files=1000)  # 64 are kept back
    for others, descriptor in ((900, 936), (880, 30), (836, 30), (899, 936)):
        reserve.admits(Arrival(), descriptor, others)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    reserve.admits(Arrival(), 30, 835)
    reserve.admits(Arrival(), 30, 834)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
