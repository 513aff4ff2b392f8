#!/usr/bin/env python3
"""
A web server that says who may boot, to try C{access = http} with.

    python tests/httptestd.py [CONFIG]

It reads C{config.ini} beside it, or CONFIG: for each path which hardware addresses are granted, and what they are
named.  200 grants, 401 ignores; each question and its answer is printed.
"""

from __future__ import annotations

import sys
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import parse_qs, urlsplit

CONFIG = Path(__file__).with_name("config.ini")
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}


def load(path: Path) -> ConfigParser:
    """The configuration; hardware addresses are read in any case."""
    config = ConfigParser(delimiters=("=",), interpolation=None)
    with path.open(encoding="utf-8") as file:
        config.read_file(file)
    return config


def answer(config: ConfigParser, target: str) -> tuple[int, str]:
    """The status and the body for one request target."""
    url = urlsplit(target)
    if not url.path.startswith("/") or not config.has_section(url.path):
        return 404, "no such path\n"
    mac = parse_qs(url.query).get("mac", [""])[0].lower()
    if not mac:
        return 400, "mac is missing\n"
    allowed = config[url.path]
    if not allowed.getboolean(mac, fallback=allowed.getboolean("default", fallback=False)):
        return 401, ""
    client, _, file = config.get("names", mac, fallback="").partition(",")
    lines = (("client", client.strip()), ("file", file.strip()))
    return 200, "".join(f"{word}: {name}\n" for word, name in lines if name)


class Handler(StreamRequestHandler):
    """
    Answers GET.

    By hand, for "http" is the name of a package beside this file.
    """

    config: ConfigParser
    timeout = 10

    def handle(self) -> None:
        words = self.rfile.readline(65536).decode("latin-1").split()
        while self.rfile.readline(65536).strip():
            pass  # the header says nothing that matters here
        if len(words) != 3:
            return
        status, text = answer(self.config, words[1]) if words[0] == "GET" else (405, "")
        print(f"{self.client_address[0]} {words[1]!r} {status}", flush=True)
        body = text.encode()
        header = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.wfile.write(header.encode() + body)


def main(arguments: list[str]) -> None:
    """Serve until Ctrl-C."""
    Handler.config = load(Path(arguments[0]) if arguments else CONFIG)
    httpd = Handler.config["httpd"]
    place = httpd.get("address", "127.0.0.1"), httpd.getint("port", 8080)
    ThreadingTCPServer.allow_reuse_address = True
    with ThreadingTCPServer(place, Handler) as server:
        print(f"asked at http://{place[0]}:{place[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
