# SPDX-License-Identifier: MIT
"""Programs, libraries, modules, scripts, disks and clocks: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import case, what

LIKE = Facts(libraries={"libevent-2.1.so.6": ("libevent-2.1.so.7", "libevent-2.1.so.7.0.1")})


def kernel(text: str) -> Case:
    """The kernel's word, and the program's that it could not read."""
    return case("read: Input/output error", items={"kernel/kernel.txt": text.encode()})


FOUND: tuple[tuple[str, Case, str], ...] = (
    ("library-missing", case("/usr/sbin/a: error while loading shared libraries: libevent-2.1.so.6: cannot open shared object file: No such file or directory", facts=LIKE), 'the shared library libevent-2.1.so.6, which its program needs, is missing (there is libevent-2.1.so.7, libevent-2.1.so.7.0.1)'),
    ("library-missing", case("cannot load x: libfoo.so.1: cannot open shared object file"), 'the shared library libfoo.so.1, which its program needs, is missing'),
    ("library-version", case("/usr/sbin/a: symbol lookup error: /usr/lib/libfoo.so.1: undefined symbol: frob"), 'its program and a library of this machine do not fit: “/usr/sbin/a: symbol lookup error: /usr/lib/libfoo.so.1: undefined symbol: frob”'),
    ("library-version", case("/usr/sbin/a: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /usr/sbin/a)"), "its program and a library of this machine do not fit: “/usr/sbin/a: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /usr/sbin/a)”"),
    ("command-missing", case("/usr/local/bin/job: line 3: frob: command not found"), 'the command frob does not exist or is not in its search path (line 3 of /usr/local/bin/job)'),
    ("command-missing", case("/usr/local/bin/job: 3: frob: not found"), 'the command frob does not exist or is not in its search path (line 3 of /usr/local/bin/job)'),
    ("command-missing", case("env: ‘ruby2.5’: No such file or directory"), 'the command ruby2.5 does not exist or is not in its search path'),
    ("script", case("/usr/local/bin/job: line 3: TARGET: unbound variable"), 'a mistake in the script /usr/local/bin/job line 3: “TARGET: unbound variable”'),
    ("script", case("/usr/local/bin/job: line 9: syntax error near unexpected token `fi'"), "a mistake in the script /usr/local/bin/job line 9: “syntax error near unexpected token `fi'”"),
    ("module-missing", case("Traceback (most recent call last):", '  File "/srv/a.py", line 1, in <module>', "    import yaml", "ModuleNotFoundError: No module named 'yaml'"), 'the Python module yaml is not installed, needed by /srv/a.py line 1'),
    ("module-missing", case("Error: Cannot find module './Config'", "Require stack:", "- /srv/a/index.js", "    at Module._load (node:internal/modules/cjs/loader:1:1)"), 'the module ./Config is not there, needed by /srv/a/index.js'),
    ("module-missing", case("Can't locate JSON/XS.pm in @INC (@INC contains: /etc/perl) at /srv/a.pl line 3."), 'the Perl module JSON::XS is not installed, needed by /srv/a.pl line 3'),
    ("disk", kernel("blk_update_request: I/O error, dev sdb, sector 12 op 0x0:(READ)"), 'the disk sdb has I/O errors (sector 12)'),
    ("file-system", kernel("EXT4-fs error (device sdb1): ext4_lookup:1855: inode #2: comm a: error"), 'the file system on sdb1 is damaged'),
    ("hang", kernel("INFO: task a:100 blocked for more than 120 seconds."), 'a (pid 100) hung in the kernel for more than 120 s'),
    ("hardware", kernel("mce: [Hardware Error]: Machine check events logged"), 'the hardware reported an error (mce: [Hardware Error])'),
    ("io-error", kernel(""), 'reading or writing failed: “read: Input/output error”'),
    ("clock", case("clock skew of 300 s is too large"), 'the clock: “clock skew of 300 s is too large”'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("library-missing", case("the library libfoo.so.1 was loaded")),
    ("library-version", case("version 2.38 not found in the catalogue")),
    ("command-missing", case("/srv/a.conf: 3: no such command")),
    ("command-missing", case("page not found")),
    ("script", case("/etc/a.conf: line 3: unknown key")),
    ("module-missing", case("No module named 'yaml' is needed")),
    ("disk", kernel("sd 0:0:0:0: [sdb] Attached SCSI disk")),
    ("file-system", kernel("EXT4-fs (sdb1): mounted filesystem with ordered data mode")),
    ("hang", kernel("task a:100 ran")),
    ("hardware", kernel("mce: CPU0: Thermal monitoring enabled")),
    ("io-error", case("5 errors in the input")),
    ("clock", case("the system time is 12:00")),
    ("clock", case("it took a long time")),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None
