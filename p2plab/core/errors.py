"""The errors of p2plab: what the kernel would refuse, and input that cannot be used."""

from __future__ import annotations

import dis

from p2plab.core.errno import NUMBERS, errorcode


class P2PError(Exception):
    """Base of every error that p2plab raises on purpose."""


class KernelError(P2PError):
    """An operation that the kernel would refuse: ``errno`` (positive, as on Linux), its ``name``, and a sentence.

    Raised before anything was changed, so the state after it equals the state before.

    >>> str(KernelError("EFAULT", "the vma has no p2p_map"))
    '-EFAULT: the vma has no p2p_map'
    """

    def __init__(self, name: str, sentence: str) -> None:
        number = NUMBERS.get(name)
        if number is None:
            raise ValueError(f"{name!r} is not an errno of Linux")
        super().__init__(f"-{name}: {sentence}")
        self.name = name
        self.errno: int = number
        self.sentence = sentence

    @classmethod
    def from_return(cls, status: int, sentence: str) -> KernelError:
        """The error for what a kernel function returned: a negative errno, or anything else that is not 0.

        >>> str(KernelError.from_return(-14, "no p2p_map"))
        '-EFAULT: no p2p_map'
        """
        if -status in errorcode:
            return cls(errorcode[-status], sentence)
        return cls("EINVAL", f"{sentence} (it returned {status}, which is neither 0 nor a negative errno)")


class BadInput(P2PError):
    """Something from outside (a token, a scene's name, a file) that cannot be used; the text says what is allowed."""


class NotInstalled(P2PError, ImportError):
    """What was asked for needs packages that p2plab was installed without; the text says what to type."""

    def __init__(self, what: str, package: str, extra: str = "lab") -> None:
        super().__init__(f"{what} need {package}, which is not installed here: pip install 'p2plab[{extra}]'")


class NotEnabled(P2PError):
    """A choice that cannot be taken now: the actor has nothing to do, or waits for something. Nothing was changed."""


class NotKnown(P2PError):
    """The data shown does not answer the question: ``missing`` lists what is missing and how to get it."""

    def __init__(self, question: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{question}: not known; missing: {'; '.join(missing)}")
        self.missing = missing


class Stopped(BaseException):
    """Raised from outside into a step that has to end. Not an ``Exception``, so that a driver's own handlers let it pass."""


def comes_from_outside(error: BaseException) -> bool:
    """Whether an exception came from outside the running code: the code was stopped, or a person pressed Ctrl-C.

    A driver's own ``raise KeyboardInterrupt`` has that statement as its last line; Ctrl-C may come anywhere.
    """
    if isinstance(error, Stopped):
        return True
    if not isinstance(error, KeyboardInterrupt):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return True
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] not in ("RAISE_VARARGS", "RERAISE")


def text_of(error: BaseException) -> str:
    """An exception's text, or a sentence where its ``__str__`` itself raises."""
    try:
        return str(error)
    except BaseException as another:
        if comes_from_outside(another):
            raise
        return f"(its text cannot be made: {type(another).__name__} in its __str__)"
