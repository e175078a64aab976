"""The error tree: every leaf has a code of its own, and says whose fault it is."""

from __future__ import annotations

import pytest

from sfu import errors

LEAVES = [getattr(errors, name) for name in errors.all_codes().values()]


def test_every_leaf_has_a_code_of_its_own() -> None:
    classes = {kind for base in (errors.ClientError, errors.ServerError) for kind in base.__subclasses__()}
    assert set(LEAVES) == classes
    assert len(errors.all_codes()) == len(classes)


@pytest.mark.parametrize("kind", LEAVES)
def test_a_fault_is_the_clients_or_ours_and_carries_what_the_other_side_is_told(
    kind: type[errors.StentorError],
) -> None:
    assert issubclass(kind, errors.ClientError) is not issubclass(kind, errors.ServerError)
    error = kind("the reason", retry_after_s=2.0)
    assert (error.reason, str(error), error.retry_after_s) == ("the reason", "the reason", 2.0)
    assert kind("again").retry_after_s is None


def test_codes_are_sorted_and_written_like_words() -> None:
    codes = list(errors.all_codes())
    assert codes == sorted(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)
