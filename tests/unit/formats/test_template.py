# SPDX-License-Identifier: MIT
"""A text of the administrator's own, out of which no value breaks."""

import html
import json
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failhook import testing
from failhook.formats import template as module
from failhook.formats.form import Unusable
from failhook.formats.template import call, check, render, values
from tests.unit.formats import samples

ABOUT = values(testing.message())
_VALUE = st.text(max_size=80) | st.sampled_from([samples.NASTY, '",1,"', ":1,", '"}', "\\", '\\"'])


def _json(text: str, **more: Any) -> Any:
    return json.loads(render(text, "json", ABOUT | more))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('{"a": {{ unit }}}', {"a": "gitea.service"}),
        ('{"a": "{{ unit }} on {{ host }}"}', {"a": "gitea.service on web1.example"}),
        ('{"a": {{ count }}, "b": "{{ count }}"}', {"a": 1, "b": "1"}),
        ('{"a": {{ downtime_s }}, "b": "{{ downtime_s }}"}', {"a": None, "b": ""}),
        ('{"a": {{ facts }}}', {"a": ABOUT["facts"]}),
        ('{"a": {{ unit|upper|tojson }}}', {"a": "GITEA.SERVICE"}),
        ('[{% for f in facts %}{{ f.name }}{{ "," if not loop.last }}{% endfor %}]', None),
        ('["\\"{{ unit }}\\"", {{ step }}]', ['"gitea.service"', 1]),
        ('{% set x %}{{ unit }}!{% endset %}{"a": {{ x }}, "b": "{{ x }}"}', None),
        ('{"{{ unit }}": 1}', {"gitea.service": 1}),
    ],
)
def test_values_become_what_has_to_stand_there(text: str, made: Any) -> None:
    if "loop.last" in text:
        text = "[{% for f in facts %}{{ f.name }}{% if not loop.last %},{% endif %}{% endfor %}]"
        made = [one["name"] for one in ABOUT["facts"]]
    elif "endset" in text:
        made = {"a": "gitea.service!", "b": "gitea.service!"}
    assert _json(text) == made


@settings(deadline=None)
@given(_VALUE)
def test_no_value_breaks_out_of_json(value: str) -> None:
    text = '{"a": {{ v }}, "b": "x {{ v }} y", "c": ["p {{ v }} q"], "d": "\\"{{ v }}"}'
    made = _json(text, v=value)
    assert made == {"a": value, "b": f"x {value} y", "c": [f"p {value} q"], "d": f'"{value}'}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@settings(deadline=None)
@given(_VALUE)
def test_no_value_breaks_out_of_html(value: str) -> None:
    made = render('<p title="{{ v }}">{{ v }}</p>', "html", {"v": value})
    parser = _Tags()
    parser.feed(made)
    assert parser.tags == ["p"]
    assert html.unescape(made) == f'<p title="{value}">{value}</p>'


def test_a_value_is_no_template() -> None:
    assert _json('{"a": {{ v }}}', v="{{ 7*7 }}{% raw %}") == {"a": "{{ 7*7 }}{% raw %}"}


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ unit.__init__.__globals__ }}",
        "{{ facts.append(1) }}",
        "{{ self._TemplateReference__context }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ cycler.__init__.__globals__.os.popen('id') }}",
        "{{ range(999999999) }}",
        "{{ (5).__class__ }}",
    ],
)
@pytest.mark.parametrize("kind", ["json", "html", "text"])
def test_the_sandbox_holds(text: str, kind: str) -> None:
    try:
        made = render(text, kind, ABOUT)
    except Unusable:
        return
    assert "class" not in made
    assert "root:" not in made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {{ unheard_of }}}', "unheard_of"),
        ('{"a": {{ unit }}', "no JSON"),
        ("{% for %}", "wrong"),
        ("{{ 1/0 }}", "ZeroDivision"),
        ("{{ unit.x.y }}", "wrong"),
        ("{{ cycler }}", "no JSON value"),
        ('{"a": "x" {{ unit }}}', "no JSON"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        render(text, "json", ABOUT)


def test_a_mistake_is_found_before_there_is_a_message() -> None:
    check('{"a": {{ unit }}}', "json")
    with pytest.raises(Unusable, match="line 2"):
        check("x\n{% if %}", "text")


def test_it_has_only_so_much_room(monkeypatch: pytest.MonkeyPatch) -> None:
    many = "{% for a in range(90000) %}{{ unit }}{% endfor %}"
    with pytest.raises(Unusable, match="KiB"):
        render(many, "text", ABOUT)


def test_it_has_only_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_S", 0.1)
    begun = time.monotonic()
    with pytest.raises(Unusable, match="longer"):
        endless = (
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ '' }}{% endfor %}{% endfor %}"
        )
        render(endless, "text", ABOUT)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("message", samples.HOSTILE, ids=lambda one: one.event)
def test_all_names_for_every_message(message: Any) -> None:
    about = values(message)
    text = "{" + ", ".join(f'"{name}": {{{{ {name} }}}}' for name in about) + "}"
    made = json.loads(render(text, "json", about))
    assert set(made) == set(about)
    assert samples.hidden([one for key, one in made.items() if key != "thread"]) == []


def test_the_kind_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    form = samples.settings(module.FORM, template="<b>{{ unit }}</b>", template_kind="html")
    made = call(testing.message(), form)
    assert made.headers["Content-Type"].startswith("text/html")
    assert made.body == b"<b>gitea.service</b>"
