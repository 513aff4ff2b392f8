"""
pybootd seen from outside: a daemon in a network namespace, and real clients, firmware and relays around it.

Each test has a laboratory of its own (L{tests.e2e.support.lab}) and leaves nothing behind.  They need root and Debian
packages that C{script/test} installs; without them they are skipped, and say why, unless C{CI=true} or
C{PYBOOTD_E2E=required}: then they fail.
"""
