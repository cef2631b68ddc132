# SPDX-License-Identifier: MIT
"""Errors of the system in other languages: what is read, and what is quoted."""
# ruff: noqa: E501 - lines are as long as they are

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from failhook.diagnose.facts import Facts, dump, load
from failhook.diagnose.look import look
from failhook.diagnose.machine import Machine
from failhook.diagnose.subjects import Subjects
from failhook.diagnose.tongue import catalogues, languages_of, words_of
from tests.unit.diagnose.cases import case, gone, judge

GERMAN = {
    "Datei oder Verzeichnis nicht gefunden": "No such file or directory",
    "Keine Berechtigung": "Permission denied",
    "Die Adresse wird bereits verwendet": "Address already in use",
}
ROOTED = pytest.mark.skipif(os.geteuid() != 0, reason="files of root can only be made by root")


def made_catalogue(words: Mapping[str, str]) -> bytes:
    """A catalogue as msgfmt(1) makes it: English to ``words``' keys (GNU gettext, "MO Files")."""
    pairs = sorted({"": "Content-Type: text/plain; charset=UTF-8\n"}.items())
    pairs += sorted((english, own) for own, english in words.items())
    at = 28 + 16 * len(pairs)
    tables: tuple[list[bytes], list[bytes]] = ([], [])
    data = b""
    for column in (0, 1):
        for pair in pairs:
            text = pair[column].encode()
            tables[column].append(struct.pack("<II", len(text), at + len(data)))
            data += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + b"".join((*tables[0], *tables[1])) + data


@pytest.mark.parametrize(
    ("environment", "defaults", "languages"),
    [
        ("", (), ()),
        ("LANG=de_DE.UTF-8", (), ("de_DE", "de")),
        ("", ("LANG=de_DE.UTF-8\n",), ("de_DE", "de")),
        ("", ('# x\nexport LANG="pt_BR.UTF-8"\n',), ("pt_BR", "pt")),
        ("LANG=C.UTF-8", ("LANG=de_DE.UTF-8\n",), ()),
        ("LC_ALL=fr_FR LANG=de_DE", (), ("fr_FR", "fr")),
        ("LC_MESSAGES=C LANG=de_DE", (), ()),
        ("LANG=en_US.UTF-8", (), ()),
        ("LANG=de_AT@euro LANGUAGE=nds:de:en:fr", (), ("nds", "de")),
        ("LANG=en_US.UTF-8 LANGUAGE=de", (), ()),
        ("LANG=../../etc/x", (), ()),
        ('"LANG=sv_SE.UTF-8" X=', ("LANG",), ("sv_SE", "sv")),
    ],
)
def test_which_languages(
    environment: str, defaults: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    assert languages_of(environment, defaults) == languages


def test_no_language_leads_out_of_the_catalogues() -> None:
    assert catalogues(["de"])[0] == "/usr/share/locale/de/LC_MESSAGES/libc.mo"
    assert catalogues(languages_of("LANG=de_DE LANGUAGE=../x:/etc:d", ())) == catalogues(
        ["de_DE", "de"]
    )


def test_the_words_of_the_first_catalogue_that_is_there() -> None:
    there = {"/usr/share/locale/de/LC_MESSAGES/libc.mo": made_catalogue(GERMAN)}
    found = words_of(["de_DE", "de"], lambda path, size: there.get(path))
    assert found == GERMAN
    assert words_of(["fr"], lambda path, size: there.get(path)) == {}


@pytest.mark.parametrize(
    "data", [b"", b"x" * 40, made_catalogue(GERMAN)[:60], b"\xde\x12\x04\x95" + b"\xff" * 60]
)
def test_what_is_no_catalogue(data: bytes) -> None:
    assert words_of(["de"], lambda path, size: data or None) == {}


@ROOTED
def test_the_look_at_the_machine(tmp_path: Path) -> None:
    place = tmp_path / "usr/share/locale/de/LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "libc.mo").write_bytes(made_catalogue(GERMAN))
    assert Machine(tmp_path).words("LANG=de_DE.UTF-8") == GERMAN
    assert Machine(tmp_path).words("LANG=C.UTF-8") == {}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/locale.conf").write_text("LANG=de_DE.UTF-8\n")
    assert Machine(tmp_path).words("") == GERMAN
    assert look(Subjects(words=GERMAN), machine=Machine(tmp_path)).words == GERMAN


@pytest.mark.parametrize(
    ("line", "cause", "said"),
    [
        ("cat: /srv/x: Datei oder Verzeichnis nicht gefunden", "file-missing",
         "/srv/x does not exist: “cat: /srv/x: Datei oder Verzeichnis nicht gefunden”"),
        ("bind: Die Adresse wird bereits verwendet", "port-taken", "“bind: Die Adresse wird bereits verwendet”"),
        ("cat: /srv/x: No such file or directory", "file-missing", "“cat: /srv/x: No such file or directory”"),
    ],
)  # fmt: skip
def test_it_is_understood_and_quoted_as_it_was_written(line: str, cause: str, said: str) -> None:
    facts = Facts(paths={"/srv/x": gone("/srv/x")}, words=GERMAN)
    assert load(dump(facts)).words == GERMAN
    verdict = judge(case(line, facts=facts))
    assert verdict.cause == cause
    assert said in verdict.summary
    assert any(line in proof.text for proof in verdict.evidence)


def test_of_a_strange_bundle_no_more_words_than_there_are_errors() -> None:
    many = Facts(words={f"w{number}": "x" for number in range(5000)} | {"y" * 9000: "x", "": "x"})
    assert len(load(dump(many)).words) == 100
    assert load(b'{"schema": 1, "words": ["x"]}').words == {}


def test_without_the_words_it_is_only_quoted() -> None:
    facts = Facts(paths={"/srv/x": gone("/srv/x")})
    one = case("cat: /srv/x: Datei oder Verzeichnis nicht gefunden", facts=facts)
    assert judge(one).cause != "file-missing"
