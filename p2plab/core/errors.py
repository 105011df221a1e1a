"""The errors of p2plab: what the kernel would refuse, and what a person gave us that we cannot use."""

from __future__ import annotations

import errno as _errno

#: Errnos of the kernel's own, which no user-space header and so not Python's ``errno`` either knows.
KERNEL_ONLY = {"ENOTSUPP": 524}


class P2PError(Exception):
    """Base of every error that p2plab raises on purpose."""


class KernelError(P2PError):
    """An operation that the kernel would refuse: ``errno`` (positive), its ``name``, and a sentence for the human.

    Raised before anything was changed, so the state after it equals the state before.

    >>> str(KernelError("EFAULT", "the vma has no p2p_map"))
    '-EFAULT: the vma has no p2p_map'
    """

    def __init__(self, name: str, sentence: str) -> None:
        number = KERNEL_ONLY.get(name) or getattr(_errno, name, None)
        if number is None:
            raise ValueError(f"{name!r} is not an errno")
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
        numbers = {**_errno.errorcode, **{number: name for name, number in KERNEL_ONLY.items()}}
        if -status in numbers:
            return cls(numbers[-status], sentence)
        return cls("EINVAL", f"{sentence} (it returned {status}, which is neither 0 nor a negative errno)")


class BadInput(P2PError):
    """Something from outside (a token, a scene's name, a file) that cannot be used; the text says what is allowed."""


class NotEnabled(P2PError):
    """A choice that cannot be taken now: the actor has nothing to do, or waits for something. Nothing was changed."""
