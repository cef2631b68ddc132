# SPDX-License-Identifier: MIT
"""The script for /etc/grub.d: what it writes, and that what it writes counts down and falls back.

GRUB's language is near enough to that of a shell for a shell to run it, with GRUB's own commands as
functions; grub-script-check and a real GRUB are in tests/e2e and tests/vm.
"""

import re
import subprocess
from pathlib import Path

import pytest

from failhook.boot.grub_menu import parse as parse_menu

SNIPPET = Path(__file__).parents[3] / "contrib/grub/08_failhook_boot_counter"


def _generated(**environment: str) -> str:
    done = subprocess.run(
        ["sh", SNIPPET],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def test_the_script_says_its_fallback() -> None:
    text = _generated(FAILHOOK_FALLBACK="a>b c")
    menu = parse_menu("/boot/grub/grub.cfg", text)
    assert (menu.counts, menu.is_ours, menu.fallback) == (True, True, "a>b c")
    without = parse_menu("/boot/grub/grub.cfg", _generated())
    assert (without.counts, without.is_ours, without.fallback) == (True, True, "")


@pytest.mark.parametrize("fallback", ["a'b", "a\\b", "a\nsave_env x"])
def test_a_fallback_cannot_end_its_quotes(fallback: str) -> None:
    assert "set failhook_fallback=''" in _generated(FAILHOOK_FALLBACK=fallback)


def _boot(part: str, block_: dict[str, str]) -> str:
    """What GRUB does with it: the same script for a shell, with its own commands as functions."""
    known = {name: block_.get(name, "") for name in ("boot_counter", "boot_success")}
    once = block_.get("next_entry", "")
    start = "".join(f"{name}='{value}'\n" for name, value in known.items())
    body = re.sub(r"\bset (\w+=)", r"\1", part)
    script = (
        f"{start}default=top\nboot_once='{'true' if once else ''}'\nfailhook_fallback=\n"
        'save_env() { for each; do eval "echo saved $each=\\$$each"; done; }\n'
        f'{body}\necho "default $default"\n'
    )
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()
    chosen = ""
    for line in said.splitlines():
        verb, _, rest = line.partition(" ")
        if verb == "saved":
            name, _, value = rest.partition("=")
            block_[name] = value
        else:
            chosen = rest
    return chosen


def test_the_script_counts_down_and_falls_back_for_good() -> None:
    part = _generated(FAILHOOK_FALLBACK="other")
    state = {"boot_counter": "3", "boot_success": "0"}
    seen = [(_boot(part, state), state["boot_counter"]) for _ in range(6)]
    assert seen == [
        ("top", "2"),
        ("top", "1"),
        ("top", "0"),
        ("other", "-1"),
        ("other", "-1"),
        ("other", "-1"),
    ]
    state["boot_success"] = "1"  # the fallback is blessed: it stays
    assert _boot(part, state) == "other"
    assert state == {"boot_counter": "-1", "boot_success": "0"}


def test_the_script_counts_nothing_where_nobody_asked() -> None:
    part = _generated(FAILHOOK_FALLBACK="other")
    for before in ({}, {"boot_success": "0"}, {"boot_counter": "x"}, {"boot_counter": "10"}):
        state = dict(before)
        assert _boot(part, state) == "top"
        assert state.get("boot_counter") == before.get("boot_counter")


def test_a_good_boot_is_not_counted_and_a_chosen_one_neither() -> None:
    part = _generated(FAILHOOK_FALLBACK="other")
    state = {"boot_counter": "2", "boot_success": "1"}
    assert _boot(part, state) == "top"
    assert state == {"boot_counter": "2", "boot_success": "0"}
    chosen = {"boot_counter": "0", "next_entry": "memtest"}
    assert _boot(part, chosen) == "top"
    assert chosen["boot_counter"] == "0"


def test_without_a_fallback_the_default_stays() -> None:
    state = {"boot_counter": "0"}
    assert _boot(_generated(), state) == "top"


@pytest.mark.parametrize("tries", range(1, 10))
def test_every_number_of_tries_goes_down_by_one(tries: int) -> None:
    state = {"boot_counter": str(tries)}
    _boot(_generated(FAILHOOK_FALLBACK="other"), state)
    assert state["boot_counter"] == str(tries - 1)
