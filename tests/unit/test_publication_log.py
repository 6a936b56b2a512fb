"""The publication log: every client gets everything that concerns it, once, whatever it has seen before."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prices.domain.positions import Position
from prices.domain.wire import ChangeData, PriceData
from streaming.protocol import EVERY_METAL, METALS
from streaming.publication_log import PublicationLog, PublicationMessage, Quoted, Update

AT = dt.datetime(2026, 9, 24, 8, tzinfo=dt.UTC)


def quoted(seq: int, price: int = 100, source: str = "gold_api_com") -> Quoted:
    amount = Decimal(price)
    return Quoted(
        seq=seq,
        currency="INR",
        quoted_at=AT,
        data=PriceData(
            price=amount,
            change=Decimal(0),
            changePercent=Decimal(0),
            high=amount,
            low=amount,
            open=amount,
            previousClose=None,
            timestamp="2026-09-24T08:00:00.000Z",
            source=source,
            stale=False,
        ),
    )


def publication(seq: int, *metals: str, moved: tuple[str, ...] = ()) -> PublicationMessage:
    return PublicationMessage(
        epoch="first",
        seq=seq,
        published_at=AT,
        quotes={metal: quoted(seq, price=1000 + seq) for metal in metals or METALS},
        changes=[
            ChangeData(
                metal=metal,
                oldPrice=Decimal(1000),
                newPrice=Decimal(1000 + seq),
                changePercent=Decimal(seq),
                direction="up",
            )
            for metal in moved
        ],
    )


CHANGE = ChangeData(
    metal="gold", oldPrice=Decimal(1000), newPrice=Decimal(1020), changePercent=Decimal(2), direction="up"
)


def new_log(moves: int = 1024) -> PublicationLog:
    log = PublicationLog(currency="INR", publications=256, moves=moves)
    log.replace(Position("first", 0, None), {}, [], [], moves_since=0)
    return log


def log_of(*publications: PublicationMessage, moves: int = 1024) -> PublicationLog:
    log = new_log(moves)
    assert all(log.append(each) for each in publications)
    return log


def sent(update: Update | None) -> dict[str, Any]:
    assert update is not None
    message: dict[str, Any] = json.loads(update.frame.payload)
    return message


def test_a_new_client_gets_a_snapshot_of_its_metals() -> None:
    message = sent(
        log_of(publication(1), publication(2, "gold", moved=("gold",))).update(frozenset({"gold", "silver"}), None)
    )
    assert (message["snapshot"], message["seq"], message["changes"]) == (True, 2, [])
    assert {metal: data["price"] for metal, data in message["data"].items()} == {"gold": 1002, "silver": 1001}


def test_a_client_that_has_seen_everything_gets_no_update() -> None:
    assert log_of(publication(1)).update(EVERY_METAL, 1) is None


def test_a_client_gets_no_update_without_a_new_quote_of_its_metals() -> None:
    assert log_of(publication(1), publication(2, "gold")).update(frozenset({"silver"}), 1) is None


def test_an_update_has_all_of_a_clients_metals_and_only_those() -> None:
    message = sent(log_of(publication(1), publication(2, "gold")).update(frozenset({"gold", "silver"}), 1))
    assert message["data"].keys() == {"gold", "silver"}


def test_a_client_that_missed_publications_gets_them_merged_with_every_significant_move() -> None:
    log = log_of(
        publication(1),
        publication(2, moved=("gold",)),
        publication(3, moved=("silver",)),
        publication(4, moved=("gold",)),
    )
    message = sent(log.update(frozenset({"gold"}), 1))
    assert (message["snapshot"], message["seq"]) == (False, 4)
    assert [change["changePercent"] for change in message["changes"]] == [2, 4]


def test_a_client_that_missed_more_moves_than_are_kept_gets_a_snapshot() -> None:
    log = log_of(*(publication(seq, moved=("gold",)) for seq in range(1, 6)), moves=3)
    assert sent(log.update(EVERY_METAL, 1))["snapshot"] is True
    assert sent(log.update(EVERY_METAL, 2))["snapshot"] is False


def test_an_update_tells_how_many_publications_of_a_clients_metals_it_holds_beside_its_newest() -> None:
    log = log_of(*(publication(seq, "gold" if seq % 3 else "silver") for seq in range(1, 11)))
    # Silver in 3, 6 and 9, gold in all others.
    for metals, since, conflated in (
        (METALS, 1, 8),
        (METALS, 8, 1),
        (METALS, 9, None),
        (("gold",), 1, 5),
        (("gold",), 8, None),
        (("silver",), 2, 2),
        (("silver", "palladium"), 6, None),
    ):
        message = sent(log.update(frozenset(metals), since))
        assert (message.get("conflated"), message["snapshot"]) == (conflated, False), (metals, since)


def test_a_snapshot_tells_of_no_publications() -> None:
    log = log_of(*(publication(seq, moved=("gold",)) for seq in range(1, 6)), moves=2)
    for since in (None, 1, 9):
        message = sent(log.update(EVERY_METAL, since))
        assert (message["snapshot"], "conflated" in message) == (True, False)
    message = sent(log.update(EVERY_METAL, 5, renew=True))
    assert (message["snapshot"], "conflated" in message) == (True, False)


def test_publications_that_the_log_does_not_know_one_by_one_are_not_counted() -> None:
    log = log_of(publication(1))
    known = [publication(seq, "gold") for seq in range(8, 11)]
    log.replace(Position("first", 10, None), log.latest | {"gold": quoted(10)}, known, [(4, CHANGE)], moves_since=1)
    message = sent(log.update(EVERY_METAL, 1))
    assert (message["snapshot"], len(message["changes"]), message["conflated"]) == (False, 1, 2)
    assert log.append(publication(11, "gold"))
    assert sent(log.update(EVERY_METAL, 7))["conflated"] == 3


def test_however_many_publications_a_client_missed_it_gets_the_moves() -> None:
    log = log_of(publication(1), publication(2, moved=("gold",)), *(publication(seq) for seq in range(3, 1000)))
    message = sent(log.update(EVERY_METAL, 1))
    assert (message["snapshot"], [change["changePercent"] for change in message["changes"]]) == (False, [2])


def test_a_gap_of_more_publications_than_are_read_costs_no_move_where_the_moves_are_all_there() -> None:
    log = log_of(publication(1), publication(2, moved=("gold",)))
    missed = publication(3, moved=("silver",)).changes
    log.replace(
        Position("first", 900, AT),
        {metal: quoted(900) for metal in METALS},
        [publication(900)],
        [(3, missed[0])],
        moves_since=2,
    )
    message = sent(log.update(EVERY_METAL, 1))
    assert (message["seq"], message["snapshot"]) == (900, False)
    assert [(change["metal"], change["changePercent"]) for change in message["changes"]] == [("gold", 2), ("silver", 3)]


def test_a_gap_whose_moves_are_not_all_there_is_a_snapshot() -> None:
    log = log_of(publication(1), publication(2))
    log.replace(
        Position("first", 900, AT), {metal: quoted(900) for metal in METALS}, [publication(900)], [], moves_since=899
    )
    assert sent(log.update(EVERY_METAL, 2))["snapshot"] is True
    assert sent(log.update(EVERY_METAL, 899))["snapshot"] is False


def test_moves_of_another_epoch_are_never_joined_to_its_own() -> None:
    log = log_of(publication(1), publication(2, moved=("gold",)), publication(3, moved=("silver",)))
    log.replace(Position("second", 3, AT), {"gold": quoted(3)}, [], [(3, CHANGE)], moves_since=1)
    assert [change["changePercent"] for change in sent(log.update(EVERY_METAL, 1))["changes"]] == [2]
    assert sent(log.update(EVERY_METAL, 0))["snapshot"] is True


def test_a_client_from_the_future_gets_a_snapshot() -> None:
    assert sent(log_of(publication(1)).update(EVERY_METAL, 99))["snapshot"] is True


def test_a_publication_that_does_not_follow_is_not_taken() -> None:
    log = log_of(publication(1))
    assert not log.append(publication(3))
    assert log.seq == 1


def test_clients_in_step_share_one_text() -> None:
    log = log_of(publication(1), publication(2))
    first, second = log.update(EVERY_METAL, 1), log.update(frozenset(METALS), 1)
    assert first is second


def test_strangers_since_values_do_not_fill_memory() -> None:
    log = log_of(publication(1))
    for since in range(100, 5000):
        log.update(EVERY_METAL, since)
    assert len(log._cache) <= 512


def test_a_stale_metal_is_marked_until_its_next_quote() -> None:
    log = log_of(publication(1))
    assert log.mark_stale(frozenset({"gold"})) == {"gold"}
    assert log.mark_stale(frozenset({"gold"})) == frozenset()
    data = sent(log.update(EVERY_METAL, None))["data"]
    assert [data[metal]["stale"] for metal in METALS] == [True, False, False, False]
    log.append(publication(2))
    assert sent(log.update(EVERY_METAL, 1))["data"]["gold"]["stale"] is False


def test_nothing_is_sent_before_there_is_a_price() -> None:
    assert new_log().update(EVERY_METAL, None) is None


metal_sets = st.frozensets(st.sampled_from(METALS), min_size=1)


@given(
    history=st.lists(st.tuples(metal_sets, st.frozensets(st.sampled_from(METALS))), min_size=1, max_size=12),
    kept=st.integers(1, 6),
    metals=metal_sets,
    reads=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_a_client_that_reads_now_and_then_ends_with_every_newest_price_and_every_move(
    history: list[tuple[frozenset[str], frozenset[str]]], kept: int, metals: frozenset[str], reads: list[bool]
) -> None:
    """Against a brute-force oracle: whatever a client missed, nothing is lost or sent twice in silence."""
    log = new_log(kept)
    since: int | None = None
    prices: dict[str, int] = {}
    moves: list[tuple[str, int]] = []
    expected_moves: list[tuple[str, int]] = []
    for seq, (quotes, moved) in enumerate(history, start=1):
        log.append(publication(seq, *quotes, moved=tuple(sorted(moved & quotes))))
        expected_moves += [(metal, seq) for metal in sorted(moved & quotes & metals)]
        if not reads[seq - 1] and seq < len(history):
            continue
        update = log.update(metals, since)
        if update:
            message = sent(update)
            prices = {metal: data["price"] for metal, data in message["data"].items()}
            if message["snapshot"]:
                moves = list(expected_moves)
            else:
                moves += [(change["metal"], change["changePercent"]) for change in message["changes"]]
        since = log.seq
        newest = {
            metal: 1000 + max(at for at, (quotes, _) in enumerate(history[:seq], start=1) if metal in quotes)
            for metal in metals
            if any(metal in quotes for quotes, _ in history[:seq])
        }
        assert prices == newest
        assert moves == expected_moves
