import threading
import time

import pytest

from ganspace_topdis.traversal.live.desk import Desk, StaleError

QUEUE = ("page", "view")


def started(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    return thread


def test_of_many_waiting_only_the_newest_is_drawn() -> None:
    desk, drawn, stale = Desk(), [], []

    def ask(number: int) -> None:
        ticket = desk.take_ticket(QUEUE, number, urgent=True)
        try:
            with desk.turn(ticket):
                drawn.append(number)
        except StaleError:
            stale.append(number)

    with desk.turn(desk.take_ticket(("other", "view"), 1, urgent=True)):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 21)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join(timeout=10)
    assert drawn == [20]
    assert sorted(stale) == list(range(1, 20))


def test_turns_never_overlap() -> None:
    desk, inside, most = Desk(), 0, 0

    def ask(page: int) -> None:
        nonlocal inside, most
        with desk.turn(desk.take_ticket((str(page), "view"), 1, urgent=page % 2 == 0)):
            inside += 1
            most = max(most, inside)
            time.sleep(0.005)
            inside -= 1

    threads = [threading.Thread(target=ask, args=(page,)) for page in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == 1


def test_an_urgent_ticket_goes_before_those_that_wait_longer() -> None:
    desk, order = Desk(), []

    def ask(name: str, urgent: bool) -> None:
        with desk.turn(desk.take_ticket((name, "c"), 1, urgent=urgent)):
            order.append(name)

    with desk.turn(desk.take_ticket(("first", "c"), 1, urgent=True)):
        threads = [started(lambda: ask("film", False)), started(lambda: ask("view", True))]
    for thread in threads:
        thread.join(timeout=10)
    assert order == ["view", "film"]


def test_a_ticket_goes_stale_between_its_turns() -> None:
    desk = Desk()
    old = desk.take_ticket(QUEUE, 1, urgent=False)
    with desk.turn(old):
        pass
    desk.take_ticket(QUEUE, 2, urgent=False)
    with pytest.raises(StaleError), desk.turn(old):
        pass


def test_an_older_question_that_arrives_late_is_stale_at_once() -> None:
    desk = Desk()
    desk.take_ticket(QUEUE, 5, urgent=True)
    with pytest.raises(StaleError), desk.turn(desk.take_ticket(QUEUE, 4, urgent=True)):
        pass


def test_a_turn_that_fails_lets_the_next_one_in() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="no"), desk.turn(desk.take_ticket(QUEUE, 1, urgent=True)):
        raise ValueError("no")
    with desk.turn(desk.take_ticket(QUEUE, 2, urgent=True)):
        pass


def test_a_closed_desk_waits_for_the_turn_under_way_and_lets_nobody_in() -> None:
    desk, log = Desk(), []
    entered = threading.Event()

    def ask() -> None:
        with desk.turn(desk.take_ticket(QUEUE, 1, urgent=True)):
            entered.set()
            time.sleep(0.1)
            log.append("drawn")

    thread = started(ask)
    entered.wait(10)
    desk.close()
    log.append("closed")
    thread.join(timeout=10)
    assert log == ["drawn", "closed"]
    with pytest.raises(StaleError), desk.turn(desk.take_ticket(QUEUE, 2, urgent=True)):
        pass
