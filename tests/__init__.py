"""The tests of pybootd."""

import sys

if "twisted.trial" in sys.modules:  # and none of the programs that tests start
    from hypothesis import HealthCheck, settings

    # a test may take as long as it does: on a busy host the limits of 200 ms an example, and of a second for the first
    # ten, fail any of them now and then
    settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
