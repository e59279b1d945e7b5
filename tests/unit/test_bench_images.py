"""Test of the images' benchmark with a small size."""

from tools.bench import images


def test_row_has_a_time_and_the_bytes_of_what_is_stored() -> None:
    size, seconds, *kilobytes, ratio = images.row(64, 96)
    assert size == "64x96"
    assert seconds.endswith(" ms")
    assert all(cell.endswith(" kB") for cell in kilobytes)
    assert float(ratio) > 0
