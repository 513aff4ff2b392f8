"""
What the end-to-end tests are built from.

    ========== =====================================================================
    case       the test case that the others extend: a laboratory, cleaned up whatever happens
    lab        network namespaces, bridges, taps, hosts
    program    a program beside the test: its output, its input, its end
    servers    pybootd, and its peers: dnsmasq, nginx, dhcrelay
    machines   virtual machines: BIOS, UEFI, HTTP boot, Secure Boot, arm64
    payload    what they boot: an initial file system that proves itself
    trees      the files around it: pxelinux, GRUB, iPXE, one EFI image
    clients    dhclient, udhcpc, dhcpcd
    crowd      many machines at one interface, without an operating system
    promises   what the crowd was promised, and whether it is kept
    disks      disks that lose what was not synced, that are small, that fail
    fragile    the file system behind them
    capture    what was on the wire, and judges of it
    debian     files from Debian packages, kept in a cache
    ========== =====================================================================
"""
