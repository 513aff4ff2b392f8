"""
Client architectures: the numbers of DHCP option 93, and the names that people use for them.

RFC 4578 2.1, its errata 4624 (7 is x64, 9 is EBC), and IANA's registry of processor architecture types.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from attrs import frozen


@frozen
class Architecture:
    """One kind of firmware on one kind of processor."""

    number: int
    name: str
    """As C{[bootfile]} has it."""
    http: bool = False
    """It loads its boot file by HTTP, and wants an absolute URL."""


# fmt: off
ARCHITECTURES = (
    Architecture(0,  "bios"),
    Architecture(1,  "pc98"),
    Architecture(2,  "itanium"),
    Architecture(3,  "alpha"),
    Architecture(4,  "arc-x86"),
    Architecture(5,  "lean-client"),
    Architecture(6,  "ia32-uefi"),
    Architecture(7,  "x64-uefi"),
    Architecture(8,  "xscale"),
    Architecture(9,  "ebc"),
    Architecture(10, "arm32-uefi"),
    Architecture(11, "arm64-uefi"),
    Architecture(12, "ppc-open-firmware"),
    Architecture(13, "ppc-epapr"),
    Architecture(14, "ppc-opal"),
    Architecture(15, "ia32-uefi-http", http=True),
    Architecture(16, "x64-uefi-http", http=True),
    Architecture(17, "ebc-http", http=True),
    Architecture(18, "arm32-uefi-http", http=True),
    Architecture(19, "arm64-uefi-http", http=True),
    Architecture(20, "bios-http", http=True),
    Architecture(21, "arm32-uboot"),
    Architecture(22, "arm64-uboot"),
    Architecture(23, "arm32-uboot-http", http=True),
    Architecture(24, "arm64-uboot-http", http=True),
    Architecture(25, "riscv32-uefi"),
    Architecture(26, "riscv32-uefi-http", http=True),
    Architecture(27, "riscv64-uefi"),
    Architecture(28, "riscv64-uefi-http", http=True),
    Architecture(29, "riscv128-uefi"),
    Architecture(30, "riscv128-uefi-http", http=True),
    Architecture(31, "s390-basic"),
    Architecture(32, "s390-extended"),
    Architecture(33, "mips32-uefi"),
    Architecture(34, "mips64-uefi"),
    Architecture(35, "sunway32-uefi"),
    Architecture(36, "sunway64-uefi"),
    Architecture(37, "loongarch32-uefi"),
    Architecture(38, "loongarch32-uefi-http", http=True),
    Architecture(39, "loongarch64-uefi"),
    Architecture(40, "loongarch64-uefi-http", http=True),
    Architecture(41, "arm-rpiboot"),
)
# fmt: on

BIOS, X64_UEFI, EBC, X64_UEFI_HTTP, EBC_HTTP, ARM_RPIBOOT = 0, 7, 9, 16, 17, 41
BY_NUMBER = {one.number: one for one in ARCHITECTURES}
BY_NAME = {one.name: one for one in ARCHITECTURES}

MEANT = {
    "bios": ("x86", "pc", "pcbios", "legacy", "i386", "i686", "intel-x86pc", "x86-bios", "undi"),
    "x64-uefi": ("x86_64", "x86-64", "x64", "amd64", "uefi", "efi", "uefi64", "efi64", "x86_64-efi", "efi-x86_64"),
    "ia32-uefi": ("ia32", "uefi32", "efi32", "i386-efi", "efi-ia32"),
    "arm64-uefi": ("arm64", "aarch64", "arm64-efi", "efi-arm64", "aarch64-uefi"),
    "arm32-uefi": ("arm", "arm32", "armhf", "armv7", "arm-efi"),
    "riscv64-uefi": ("riscv64", "riscv"),
    "loongarch64-uefi": ("loongarch64", "loongarch"),
    "x64-uefi-http": ("http", "uefi-http", "http-boot", "httpclient"),
    "arm64-uboot": ("uboot", "u-boot"),
    "arm-rpiboot": ("raspberry", "raspberrypi", "raspberry-pi", "rpi", "pi"),
}
"""Words that people write, and the name that they mean; none of them is accepted, for some mean several."""

ALIKE = {EBC: X64_UEFI, X64_UEFI: EBC, EBC_HTTP: X64_UEFI_HTTP, X64_UEFI_HTTP: EBC_HTTP}
"""Numbers that firmware confuses, for the RFC's own text does: the other one's entry serves both."""


def name_of(number: int | None) -> str:
    """A number's name, for people."""
    if number is None:
        return "unknown architecture"
    known = BY_NUMBER.get(number)
    return known.name if known else f"architecture {number}"


def named(word: str) -> int | None:
    """
    The number that a key of C{[bootfile]} means; None for C{default}.

    @raise ValueError: nobody knows this name, or the number is none.
    """
    word = word.lower()
    if word == "default":
        return None
    if word in BY_NAME:
        return BY_NAME[word].number
    if re.fullmatch(r"0x[0-9a-f]{1,4}", word, re.ASCII):
        return int(word, 16)
    if re.fullmatch(r"[0-9]{1,5}", word, re.ASCII) and int(word) < 65536:
        return int(word)
    close = [name for name, words in MEANT.items() if word in words]
    close += get_close_matches(word, BY_NAME, n=1, cutoff=0.75)
    meant = f"; did you mean {close[0]}?  W" if close else "; w"
    raise ValueError(
        f"no architecture{meant}rite a number such as 00007, or a name such as bios, x64-uefi, arm64-uefi, ipxe"
    )
