"""The one door to numba: functions compiled at their first call, with the machine code kept on disk where possible."""

from __future__ import annotations

import functools
import hashlib
import marshal
from collections.abc import Callable
from types import FunctionType
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Compiled(Generic[P, R]):
    """A function over numbers and arrays that numba compiles when it is first called; see :func:`compiled`."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._ready: Callable[P, R] | None = None

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Call the machine code, made or loaded first if need be."""
        ready = self._ready or self.prepared()
        try:
            return ready(*arguments, **named)
        except OSError:  # kernels touch no file: the cache place was writable, and now is full, gone or read-only
            self._ready = self._made(cached=False)
            return self._ready(*arguments, **named)

    def prepared(self) -> Callable[P, R]:
        """Return what numba makes of the function; importing numba and making it happens once."""
        if self._ready is None:
            try:
                self._ready = self._made(cached=True)
            except RuntimeError:  # numba's word for: neither beside the source nor in the user's cache can I write
                self._ready = self._made(cached=False)
        return self._ready

    def _made(self, *, cached: bool) -> Callable[P, R]:
        import numba

        made: Callable[P, R] = numba.njit(cache=cached, nogil=True, error_model="numpy")(self._with_callees())
        return made

    def _with_callees(self) -> Callable[P, R]:
        """Return the function with the compiled functions it calls in place of their wrappers, as numba needs them."""
        function = self._function
        assert isinstance(function, FunctionType)
        callees = {name: callee.prepared() for name, callee in self._callees().items()}
        if not callees:
            return function
        joined = FunctionType(
            function.__code__, {**function.__globals__, **callees}, function.__name__, function.__defaults__
        )
        functools.update_wrapper(joined, function)
        # Stored code is looked up by this name and the date of the caller's file: a changed callee must change it.
        joined.__qualname__ = f"{function.__qualname__}_{self._digest()}"
        return joined

    def _callees(self) -> dict[str, Compiled[..., object]]:
        function = self._function
        assert isinstance(function, FunctionType)
        called = {name: function.__globals__.get(name) for name in function.__code__.co_names}
        return {name: found for name, found in called.items() if isinstance(found, Compiled)}

    def _digest(self) -> str:
        """Return a text that changes with the code of the function or of any compiled function it leads to."""
        function = self._function
        assert isinstance(function, FunctionType)
        parts = [marshal.dumps(function.__code__)] + [callee._digest().encode() for callee in self._callees().values()]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

    def __reduce__(self) -> str:
        """Pickle by name, as functions are, so that workers of other processes can be handed a kernel."""
        return self._function.__qualname__


def compiled(function: Callable[P, R]) -> Compiled[P, R]:
    """Compile a function with numba at its first call (nopython mode, without the interpreter lock).

    Importing a module of compiled functions loads no numba. The machine code is kept on disk, in
    ``NUMBA_CACHE_DIR``, beside the source or in the user's cache, whichever is writable, so that only the first call
    ever on a machine pays for compiling; later processes pay for importing numba (about a second) and loading. Where
    no place is writable each process compiles for itself. ``NUMBA_DISABLE_JIT=1`` runs the Python code as it stands.

    Parameters
    ----------
    function
        A module-level function of numbers, booleans and numpy arrays, without keyword-only arguments or closure. It
        may call other compiled functions; stored code is renewed when any of them changes.

    Returns
    -------
    Compiled
        Called as the function itself.

    Examples
    --------
    >>> import numpy as np
    >>> @compiled
    ... def largest_gap(values):
    ...     gap = 0.0
    ...     for i in range(1, len(values)):
    ...         gap = max(gap, values[i] - values[i - 1])
    ...     return gap
    >>> largest_gap(np.array([1.0, 2.0, 5.0]))
    3.0
    """
    return Compiled(function)
