"""Colours are told apart."""

from banet.utils.colours import palette


def test_classes_have_colours_of_their_own():
    assert len(set(palette(60))) == 60
