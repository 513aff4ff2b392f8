"""The tests of pybootd."""

import sys

if "twisted.trial" in sys.modules:  # and none of the programs that tests start
    from hypothesis import settings

    # a test may take as long as it does: on a busy host the default of 200 ms fails any of them now and then
    settings.register_profile("patient", settings.default, deadline=None)
    settings.load_profile("patient")
