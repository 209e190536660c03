"""What a script leaves running is waited for, and what only waits itself is not."""

import threading
from concurrent.futures import ThreadPoolExecutor

from goodput.recording.script import _wait_for_threads


def test_an_executor_that_is_idle_holds_nothing_up(monkeypatch) -> None:
    with ThreadPoolExecutor(2) as executor:
        executor.submit(int).result()
        of_program = list(executor._threads)
        monkeypatch.setattr(threading, "enumerate", lambda: of_program)
        waiting = threading.Thread(target=_wait_for_threads, daemon=True)
        waiting.start()
        waiting.join(20)
        assert not waiting.is_alive()


def test_the_work_of_an_executor_is_waited_for(monkeypatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        may_end.wait(20)
        done.append("work")

    with ThreadPoolExecutor(1) as executor:
        executor.submit(work)
        executor.submit(done.append, "queued")
        begun.wait(20)
        of_program = list(executor._threads)
        monkeypatch.setattr(threading, "enumerate", lambda: of_program)
        waiting = threading.Thread(target=_wait_for_threads, daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        may_end.set()
        waiting.join(20)
        assert not waiting.is_alive()
        assert done == ["work", "queued"]
