"""Parts of a population written by the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cohort.errors import OutputError, UsageError

_SECONDS_TO_CONNECT = 30


def run_on_cluster(address: str, parts: Sequence[int], task: Callable[[int], int]) -> Iterator[int]:
    """Run ``task`` for each part on the cluster of the scheduler at ``address``; yield parts as they are finished.

    A part whose worker dies is written anew by another. Parts appear in one rename each, so that a part written twice,
    or by a worker that was taken for dead, is the same file.

    Parameters
    ----------
    address
        Address of a Dask scheduler, for instance ``tcp://127.0.0.1:8786``.
    parts
        Numbers of the parts.
    task
        Writes one part where all workers and this process see it, and returns its number.

    Raises
    ------
    UsageError
        If the extra ``cluster`` is not installed or no scheduler answers at the address.
    OutputError
        If workers keep dying on the same part.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ModuleNotFoundError as error:
        raise UsageError(
            "a cluster needs the packages dask and distributed",
            where="--cluster",
            got=str(error),
            remedy="install the extra: pip install 'lncohort[cluster]'",
        ) from error
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise UsageError(
            "no scheduler answers there",
            where="--cluster",
            got=f"{address} ({error})",
            remedy="start one with `dask scheduler` and give its address, for instance tcp://127.0.0.1:8786",
        ) from error
    with client:
        try:
            for future in as_completed(client.map(task, parts, pure=False)):
                yield future.result()
        except KilledWorker as error:
            raise OutputError(
                "several workers died while writing the same part",
                where=address,
                got=str(error).splitlines()[0],
                remedy="give the workers more memory; the same command keeps the finished parts",
            ) from error
