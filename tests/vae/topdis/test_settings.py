import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.topdis import TopDisSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", -1.0),
        ("delay", -1),
        ("loss", "hausdorff"),
        ("p", 0.5),
        ("shift", 1.0),
        ("shift", 0.0),
        ("codes", "both"),
        ("choice", "first"),
        ("batch", "third"),
        ("points", 3),
        ("orthogonalize", "kl"),
        ("features", "vgg"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(name, value):
    with pytest.raises(InvalidArgumentError, match=f"topdis {name} is"):
        TopDisSettings(**{name: value})
