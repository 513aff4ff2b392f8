"""
Network-boot server: BOOTP, DHCP and PXE, TFTP and HTTP in one Twisted daemon.

A computer with empty disks is switched on; its firmware asks for an address and a
boot file; pybootd answers, hands out the loader, the kernel and the initial file
system, tells who may boot, and shows what each machine is doing.
"""

__version__ = "2.0.0.dev0"
