"""Settings of all tests."""

import hypothesis

hypothesis.settings.register_profile("any machine", deadline=None)  # a deadline would time the machine, not the code
hypothesis.settings.load_profile("any machine")
