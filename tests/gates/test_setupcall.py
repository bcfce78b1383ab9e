"""What a setup.py says is worked out from its text, which may be anybody's."""

from __future__ import annotations

import pytest

from shipway.gates.setupcall import setup_call


def said(tmp_path, text: str) -> dict[str, object]:
    (tmp_path / "setup.py").write_text(f"from setuptools import setup\n{text}")
    return setup_call(tmp_path)


def test_what_is_put_together_is_read(tmp_path) -> None:
    found = said(
        tmp_path,
        """
NAME = "shop"
VERSION = "1.2"
tests = ["pytest", read("more.txt")]
tests += ["hypothesis"]
extras = dict(tests=tests, docs=["sphinx"] + find())
extras_again = {**extras, "all": [*tests, f"{NAME}-extra=={VERSION}"]}
setup(
    name=NAME,
    version=VERSION + ".3",
    packages=find_packages(),
    install_requires=["attrs"] if fast else None,
    extras_require=extras_again,
    entry_points={"console_scripts": ["%s = %s.cli:main" % (NAME, NAME), script(NAME)]},
)
""",
    )
    assert found == {
        "name": "shop",
        "version": "1.2.3",
        "extras_require": {
            "tests": ["pytest", "hypothesis"],
            "docs": ["sphinx"],
            "all": ["pytest", "hypothesis", "shop-extra==1.2"],
        },
        "entry_points": {"console_scripts": ["shop = shop.cli:main"]},
    }


@pytest.mark.parametrize(
    "text",
    [
        "setup(name='%999999999d' % 1)\n",
        "setup(name=name)\nname = name + name\n",
        "".join(f"x{n + 1} = x{n} + x{n}\n" for n in range(60)) + "x0 = 'x'\nsetup(name=x60)\n",
    ],
)
def test_what_would_take_long_or_grow_is_left_alone(tmp_path, text) -> None:
    assert "name" not in said(tmp_path, text)
