"""However a COCO file is damaged: it is named, or nothing is lost by it."""

import pytest
from damage_outcome import harmless, outcome
from damages import damaged, good
from hypothesis import given, HealthCheck, settings

GOOD = good()


def test_good_file_trains_and_scores_one(tmp_path):
    assert outcome(GOOD, tmp_path) == harmless(GOOD) == (56, [1, 1])


@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(damaged(GOOD))
def test_damage_is_named_or_harmless(tmp_path_factory, case):
    """tests/stress/damaged_coco.py tries a thousand."""
    what, content = case
    found = outcome(content, tmp_path_factory.mktemp('damaged'))
    assert found in ('named', harmless(content)), what
