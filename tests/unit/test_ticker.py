import threading

from firedamp.ticker import Ticker


def test_nothing_is_done_before_the_start_or_after_the_stop() -> None:
    done: list[int] = []
    thrice = threading.Event()

    def work() -> None:
        done.append(threading.get_ident())
        if len(done) == 3:
            thrice.set()

    ticker = Ticker(0.001, work)
    assert not thrice.wait(0.05) and not done
    ticker.start()
    assert thrice.wait(60)
    ticker.stop()
    count = len(done)
    assert not threading.Event().wait(0.05) and len(done) == count
    assert threading.get_ident() not in done


def test_work_under_way_is_finished_before_the_stop_returns() -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(60)
        ended.set()

    ticker = Ticker(0.001, work)
    ticker.start()
    assert began.wait(60)
    threading.Timer(0.05, may_end.set).start()
    ticker.stop()
    assert ended.is_set()
