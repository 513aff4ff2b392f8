"""Files on disk for tests: a root with everything in it that a client must not be served."""

from __future__ import annotations

import os
import socket
from pathlib import Path

SECRET = b"secret outside"


class Tree:
    """
    A directory C{root} with files, and things beside it that are nobody's business.

    @ivar top: the directory that holds it all.
    @ivar root: what is served.
    """

    def __init__(self, top: str) -> None:
        self.top = Path(top).absolute()
        self.root = self.top / "root"
        self.root.mkdir(parents=True)
        self.write("../secret", SECRET)
        self.write("../root-sibling/secret", SECRET)

    def write(self, name: str, data: bytes = b"x") -> Path:
        """A file, its name relative to the root."""
        path = Path(os.path.normpath(self.root / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def link(self, name: str, target: str) -> None:
        """A symbolic link in the root."""
        (self.root / name).symlink_to(target)

    def traps(self) -> tuple[str, ...]:
        """Everything that is not to be served, made in the root; the names."""
        self.write("directory/inside")
        self.write("unreadable").chmod(0)
        os.mkfifo(self.root / "fifo")
        listener = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(self.root)  # a socket's path has to be short
        listener.bind("socket")
        os.chdir(here)
        listener.close()
        self.link("link-out", "../secret")
        self.link("link-out-absolute", str(self.top / "secret"))
        self.link("link-sibling", f"{self.root}-sibling/secret")
        self.link("link-passwd", "/etc/passwd")
        self.link("link-device", "/dev/zero")
        self.link("link-directory", "..")
        self.link("link-loop", "link-loop")
        self.link("link-dangling", "nowhere")
        self.link("link-climbing", "directory/../../secret")
        self.link("link-fifo", "fifo")
        return (
            "directory",
            "fifo",
            "socket",
            "link-out",
            "link-out-absolute",
            "link-sibling",
            "link-passwd",
            "link-device",
            "link-directory/secret",
            "link-directory",
            "link-loop",
            "link-dangling",
            "link-climbing",
            "link-fifo",
            "missing",
            "directory/missing",
            "missing/inside",
            "directory/inside/more",
            "fifo/inside",
            "x" * 300,
            "x/" * 3000 + "x",
            "\0",
            "a\0b",
            "\ud800",
            "\N{PILE OF POO}",
        )


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))
