"""Networks that look at an image."""

import cv2
import pytest
from runs import IMAGE

from banet.explain.targets import View


@pytest.fixture
def view(predictors):
    """The network of a task, looking at the image."""
    return lambda task: View(predictors[task], cv2.imread(IMAGE))
