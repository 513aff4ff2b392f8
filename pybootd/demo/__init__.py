"""
C{pybootd demo}: a virtual machine with an empty disk boots from a pybootd of its own, away from every real network.

L{needs} says what is missing on this host, L{kernel} finds a Linux kernel on it, L{initramfs} packs a tiny system,
L{plan} puts it all into a directory, and L{command} starts L{stage} in namespaces of its own, which runs the daemon and
the machine and shows what both say.  When the stage ends, however it ends, the namespaces go, and everything in them.
"""
