"""Makes C{twistd pybootd} known to twistd."""

from twisted.application.service import ServiceMaker

pybootd = ServiceMaker(
    "pybootd",
    "pybootd.tap",
    "Network-boot server: BOOTP, DHCP and PXE, TFTP and HTTP.",
    "pybootd",
)
