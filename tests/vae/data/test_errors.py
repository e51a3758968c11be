from vae.data.errors import one_line


def test_what_a_library_said_becomes_one_short_line():
    assert one_line(ValueError("first\n  second")) == "first second"
    assert len(one_line(ValueError("long " * 100))) == 120
    assert one_line(KeyError()) == "KeyError"
