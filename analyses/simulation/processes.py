"""Pieces of a simulation study worked through in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def worked_through(
    tasks: Sequence[Task], jobs: int, work: Callable[[Task], Found], *, size: Callable[[Task], int]
) -> Iterator[tuple[Task, Found]]:
    """Yield each task with what it gave, in no particular order.

    Parameters
    ----------
    tasks
        What is to be done; they are sent to the processes.
    jobs
        Processes; with one, the work is done here.
    work
        Does a task.
    size
        The largest tasks go first, so that no process is left with them at the end.
    """
    if jobs == 1:
        yield from ((task, work(task)) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, task): task for task in sorted(tasks, key=lambda task: -size(task))}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
