"""What the main process hands to workers, and what it keeps: small files are sent sooner than they are handed over."""

from __future__ import annotations

from pybootd.http.sendfile import Pump
from pybootd.tftp.lent import Lent, Owner
from pybootd.tftp.session import Session
from pybootd.workers.messages import Order, SendBlocks, SendFile
from pybootd.workers.pool import Handle, Pool

TFTP_LEAST = 1 << 20
"""Bytes; shorter files stay here."""

HTTP_LEAST = 4 << 20
"""The same for HTTP."""


class FileLender:
    """HTTP bodies; see L{pybootd.http.sendfile.Lender}."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def lend(self, pump: Pump, connection: int, file: int, begin: int, end: int) -> Handle | None:
        if end - begin < HTTP_LEAST:
            return None
        return self._pool.hand(pump, lambda number: SendFile(number, begin, end), (connection, file))


class BlockLender:
    """TFTP transfers; see L{pybootd.tftp.lent.Lender}."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def lend(self, session: Session, mtu: int, timeout: float, retries: int, owner: Owner) -> Lent | None:
        size = session.content.size
        if not self._pool.count or size is None or size < TFTP_LEAST:
            return None
        descriptors = session.descriptors
        if descriptors is None:
            return None
        agreement, transfer = session.agreement, session.transfer
        host, port = session.client

        def order(number: int) -> Order:
            return SendBlocks(
                number=number,
                host=host,
                port=port,
                mtu=mtu,
                size=size,
                blksize=agreement.blksize,
                windowsize=transfer.windowsize,
                widest=agreement.widest,
                variable=agreement.variable,
                timeout=agreement.timeout or timeout,
                retries=retries,
                acked=transfer.acked,
                rtt=transfer.rtt,
                resent=transfer.resent,
            )

        lent = Lent(session.client, session.arrived, transfer.resent, owner)
        lent.carrier = self._pool.hand(lent, order, descriptors)
        return lent if lent.carrier is not None else None
