"""Every exception that pybootd raises on purpose; nothing else is meant to cross a module's edge."""

from __future__ import annotations

from collections.abc import Sequence


class PybootdError(Exception):
    """Something that pybootd knows how to say in one sentence."""


class MalformedPacket(PybootdError):
    """Bytes from the network are not what the protocol says; the packet is dropped."""


class ConfigError(PybootdError):
    """
    The configuration cannot be used.

    @ivar problems: one finished line for each mistake, all of them at once, such as
        C{pybootd.ini:14: [bootpd] pool_start = 192.168.300.1: not an IPv4 address; write e.g. 192.168.1.100}.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class EnvironmentProblem(PybootdError):
    """This host cannot do what the configuration asks (port taken, directory missing, no such network): one line."""


class ContentError(PybootdError):
    """A file that was asked for cannot be had; the message may be shown to the client."""


class NotFound(ContentError):
    """No such file, or none that this client may know of: TFTP error 1, HTTP 404."""


class Forbidden(ContentError):
    """The file is there but this machine is not served: TFTP error 2, HTTP 403; the message says why."""

    def __init__(self, reason: str, setting: str = "") -> None:
        """@param setting: the configuration line that decides it, or nothing."""
        super().__init__(reason)
        self.setting = setting


class SourceFailed(ContentError):
    """The file's source broke, stalled or lied in the middle: the transfer ends with this message."""


class AccessUnavailable(PybootdError):
    """An access backend could not come to a verdict; it counts as a refusal."""


class WebFailed(PybootdError):
    """A web server gave no answer in time, or none that can be read; the message says why."""


class StoreError(PybootdError):
    """The lease store cannot keep a promise now (disk full, database gone): no ACK may leave."""


class StoreAway(StoreError):
    """A store at the other end of a network cannot be reached; it says so in the log by itself, once."""


class StoreInUse(StoreError, EnvironmentProblem):
    """Another pybootd holds this lease store."""
