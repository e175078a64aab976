"""How many examples Hypothesis tries: two fifths of the full number in `make test`, all of them in `make test-all`.

The full number is had by `pytest --hypothesis-profile thorough` (`make thorough` for all such tests).
"""

from __future__ import annotations

import hypothesis

THOROUGH = "thorough"
_OF_FIVE = 2


def examples(full: int) -> int:
    """For `settings(max_examples=...)` of a test that takes seconds."""
    thorough = hypothesis.settings.get_current_profile_name() == THOROUGH
    return full if thorough else max(1, full * _OF_FIVE // 5)
