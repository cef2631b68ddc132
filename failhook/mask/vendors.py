# SPDX-License-Identifier: MIT
"""Secrets that their makers gave a prefix, so that they can be found anywhere: one table.

The prefixes are those the services document for their own secret scanning. Public halves
(``pk_live_``, ``SHA256:`` fingerprints, certificates) are not secrets and are not listed.
"""

from __future__ import annotations

import re

from failhook.mask.shapes import Shape, shape, worth

_KINDS = tuple(map(re.compile, (rb"[a-z]", rb"[A-Z]", rb"[0-9]")))


def _mixed(match: re.Match[bytes]) -> bool:
    """Small, capital and digit, as generators print them; ``sk-something-nightly-2`` is a name."""
    return worth(match) and all(kind.search(match["s"]) for kind in _KINDS)


def _prefixed(rule: str, hints: str, pattern: bytes) -> Shape:
    return shape(rule, hints, rb"(?<![A-Za-z0-9])(?P<s>" + pattern + rb")", case=True)


VENDORS = (
    _prefixed("aws-key", "akia asia abia acca", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?!\w)"),
    _prefixed(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rb"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}",
    ),
    _prefixed(
        "gitlab-token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- gloas- glimt-",
        rb"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[\w.\-]{16,255}",
    ),
    _prefixed("slack-token", "xox xapp-", rb"(?:xox[abeoprs]-|xapp-\d-)[\w\-]{8,255}"),
    shape(
        "webhook-url",
        "hooks.slack.com webhook",
        rb"(?:hooks\.slack\.com/(?:services|workflows)/|discord(?:app)?\.com/api/webhooks/|"
        rb"\.webhook\.office\.com/webhookb2/)(?P<s>[^\s\"'<>\\\x00]{8,512})",
    ),
    _prefixed("telegram-token", ":aa", rb"[0-9]{8,10}:AA[\w\-]{33}(?![\w\-])"),
    shape(  # https://api.telegram.org/bot<token>/
        "telegram-token", "/bot", rb"/bot(?P<s>[0-9]{8,10}:[\w\-]{35})(?![\w\-])", case=True
    ),
    _prefixed(
        "stripe-key",
        "sk_live_ sk_test_ rk_live_ rk_test_ whsec_",
        rb"[sr]k_(?:live|test)_[A-Za-z0-9]{10,255}|whsec_[\w+/=\-]{16,255}",
    ),
    _prefixed(
        "google-key",
        "aiza ya29. gocspx-",
        rb"AIza[\w\-]{35}|ya29\.[\w\-]{20,2048}|GOCSPX-[\w\-]{20,64}",
    ),
    _prefixed("npm-token", "npm_", rb"npm_[A-Za-z0-9]{30,64}"),
    _prefixed("pypi-token", "pypi-agei", rb"pypi-AgEI[\w\-]{40,1024}"),
    shape("api-key", "sk-", rb"(?<![\w\-])(?P<s>sk-[\w\-]{20,512})", _mixed, case=True),
    _prefixed(
        "api-key",
        "sg. hf_ dop_v1_ shpat_ shpss_ shpca_ shppa_ hvs. hvb. dckr_pat_ glsa_ rubygems_ xkeysib- "
        "tskey- lin_api_ nrak- pmak- dp.pt. key-",
        rb"SG\.[\w\-]{16,32}\.[\w\-]{16,64}|hf_[A-Za-z0-9]{30,64}|dop_v1_[0-9a-f]{64}|"
        rb"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}|hv[sb]\.[\w\-]{20,512}|dckr_pat_[\w\-]{20,64}|"
        rb"glsa_\w{32,64}|rubygems_[0-9a-f]{48}|xkeysib-[0-9a-f]{64}-\w{16}|"
        rb"tskey-[a-z]{2,10}-[\w\-]{16,128}|lin_api_\w{32,64}|NRAK-[A-Z0-9]{27}|"
        rb"PMAK-[0-9a-f\-]{40,80}|dp\.pt\.\w{30,64}|key-[0-9a-f]{32}(?!\w)",
    ),
    shape("age-key", "age-secret-key-1", rb"(?P<s>AGE-SECRET-KEY-1[0-9A-Z]{40,80})"),
    _prefixed("jwt", "eyj", rb"eyJ[\w\-]{8,8192}\.[\w\-]{4,65536}(?:\.[\w\-]{0,65536}){1,3}"),
    shape(
        "password-hash",
        "$1$ $2 $5$ $6$ $7$ $y$ $gy$ $apr1$ $argon2 $scrypt $pbkdf2",
        rb"(?P<s>\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w\-]{0,12})"
        rb"\$[./A-Za-z0-9$=,+_\-]{16,512})",
        case=True,
    ),
    shape(
        "password-hash",
        "sha} ssha sha256} sha384} sha512} md5} crypt} scram-sha-256$",
        rb"(?P<s>\{(?:S?SHA\d{0,3}|S?MD5|CRYPT)\}[^\s\"'\x00]{8,256}|"
        rb"SCRAM-SHA-256\$[0-9]{1,8}:[A-Za-z0-9+/=$:]{16,512})",
    ),
)
