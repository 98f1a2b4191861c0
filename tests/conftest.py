"""Property-based tests draw the same examples in every run, so that a failure is one for everybody."""

from hypothesis import settings

settings.register_profile('repeatable', derandomize=True, deadline=None)
settings.load_profile('repeatable')
