# SPDX-License-Identifier: MIT
"""Does the name of a setting say that its value is a secret? One answer for every kind of text.

A name is cut into words first (``DB_PASSWORD``, ``dbPassword``, ``spring.db.password``), so that
``monkey``, ``keyboard``, ``secretary`` and ``token_bucket`` are told apart from what they contain.
"""

from __future__ import annotations

import functools
import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# token.go:42, systemd-ask-password-wall.service: places and units, not settings
_FILE_LIKE = re.compile(
    r"\.(?:go|py|pyc|c|h|cc|cpp|hpp|rs|js|mjs|ts|jsx|tsx|java|rb|php|pl|pm|sh|lua|cs|kt|scala|ex|"
    r"erl|hs|conf|cfg|ini|ya?ml|json|xml|toml|txt|log|pem|crt|sock|service|socket|timer|target|"
    r"mount|slice|scope|path|device|swap|sql|html|so|ko)$",
    re.IGNORECASE,
)
_PASSWORD_ENDS = ("password", "passwords", "passwd", "passphrase", "passcode", "passwort", "psk")
_SECRET_ENDS = ("secret", "secrets")
_TOKEN_ENDS = ("token", "tokens")
_CREDENTIAL_ENDS = ("credential", "credentials", "creds")
# Too short to be believed inside a longer name: only as its last word.
_SHORT = {
    **dict.fromkeys(
        _words(
            "pass pwd pw passin passout requirepass masterauth sshpass dbpass userpass rootpass "
            "smtppass mailpass ldappass adminpass bindpw rootpw userpw adminpw smtppw mysqlpwd "
            "oldpwd"
        ),
        "password",
    ),
    "cred": "credential",
    "jsessionid": "token",
    "phpsessid": "token",
    "sessionid": "token",
    "setcookie": "token",
}
_KEYS = re.compile(
    r"(?:api|app|application|access|secret|private|signing|sign|encryption|encrypt|decryption|"
    r"master|account|auth|shared|preshared|storage|license|hmac|aes|cipher|crypt|crypto|"
    r"session|cookie|webhook|consumer|client|subscription|admin|deploy|service|jwt|"
    r"wireguard|unseal|recovery|root|integration|ingest|stream|instrumentation)keys?(?:id|base)?$"
)
# A secret word followed by one of these still names the secret itself.
_NEUTRAL = _words(
    "hash value key base id data text string str plain plaintext b64 base64 enc encrypted old new "
    "current previous primary secondary prod production dev test testing staging live admin root "
    "rw ro main master replica slave salt confirmation confirm again repeat db database digest "
    "bytes v env default raw content"
)
# ... and followed by one of these it names something about it.
_ABOUT = _words(
    "file files path paths dir directory type types name names policy ttl expiry expires expire "
    "expired expiration age endpoint url uri encryption length len min max count counts limit "
    "limits rate size sizes bucket buckets algorithm alg algo method methods mode provider "
    "providers store manager backend command cmd prompt required enabled disabled enable disable "
    "authentication timeout interval version format kind ref field fields header headers prefix "
    "suffix hint hints strength check checks changes changed change reset resets attempts retries "
    "lifetime validity issuer audience scope scopes status state error errors failed failure "
    "failures usage used budget total source sources location handler service server host port "
    "user username agent request requests response rotation period days date time at in on cache "
    "table column plugin plugins driver class module options option param params rule rules "
    "complexity history warn warning feature grace aging quality owner group filter mount volume "
    "helper helpers mask fingerprint thumbprint public"
)
# systemd's own settings that say where a credential comes from: `unit_text` treats the others.
_VISIBLE = _words(
    "loadcredential loadcredentialencrypted importcredential conditioncredential assertcredential"
)


@functools.lru_cache(maxsize=8192)
def kind_of(name: str) -> str | None:
    """password, secret, token, key or credential; None where the value is nobody's secret."""
    if _FILE_LIKE.search(name):
        return None
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or "".join(words) in _VISIBLE:
        return None
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    if words[-1] in _ABOUT:
        return None
    kind = _kind_of_words(words)
    if kind is None and name.isupper() and "_" in name:  # an environment variable: any word counts
        kind = next(filter(None, map(_kind_of_word, words)), None)
    return kind


def _kind_of_words(words: list[str]) -> str | None:
    if "public" in words:
        return None
    if _KEYS.search("".join(words[-4:])):
        return "key"
    if words[-1] in _SHORT:
        return _SHORT[words[-1]]
    for place in range(len(words) - 1, -1, -1):
        kind = _kind_of_word(words[place])
        if kind is not None:
            return kind
        if words[place] not in _NEUTRAL and not words[place].isdigit():
            return None
    return None


def _kind_of_word(word: str) -> str | None:
    if word in ("nopasswd", "nopassword"):  # sudoers
        return None
    if word.endswith(_PASSWORD_ENDS) or word in ("passwd", "pwd"):
        return "password"
    if word.endswith(_SECRET_ENDS):
        return "secret"
    if word.endswith(_TOKEN_ENDS):
        return "token"
    if word.endswith(_CREDENTIAL_ENDS):
        return "credential"
    return None


def is_plural(name: str) -> bool:
    """``max_tokens=100`` counts tokens; ``token=100`` may well be one."""
    return (
        name.lower()
        .rstrip("0123456789")
        .endswith(("tokens", "secrets", "credentials", "passwords", "creds", "keys"))
    )


def may_hold_path(name: str) -> bool:
    """Names whose value is often the place of the secret: ``private_key=/etc/x.pem``, ``PWD=/``."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and words[-1] in ("key", "keys", "pwd", "oldpwd", "credentials", "cert")
