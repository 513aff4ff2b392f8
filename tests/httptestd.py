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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CONFIG = Path(__file__).with_name("config.ini")


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


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    protocol_version = "HTTP/1.1"
    config: ConfigParser

    def do_GET(self) -> None:
        status, text = answer(self.config, self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        print(f"{self.client_address[0]} {format % arguments}", flush=True)


def main(arguments: list[str]) -> None:
    """Serve until Ctrl-C."""
    Handler.config = load(Path(arguments[0]) if arguments else CONFIG)
    httpd = Handler.config["httpd"]
    place = httpd.get("address", "127.0.0.1"), httpd.getint("port", 8080)
    with ThreadingHTTPServer(place, Handler) as server:
        print(f"asked at http://{place[0]}:{place[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
