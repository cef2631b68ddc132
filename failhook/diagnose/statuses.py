# SPDX-License-Identifier: MIT
"""What programs document of their exit status: those that are quiet, or whose status says more.

Each entry is from the "EXIT STATUS" (or "EXIT CODES") of the program's manual page, in its section 1
or 8. A status that only says "an error" is not here.
"""

from __future__ import annotations

_CURL = {
    "3": "the URL is malformed", "6": "the host's name could not be resolved",
    "7": "no connection to the host", "9": "access to the remote directory was denied",
    "18": "only a part of the file was transferred", "22": "the server answered with an HTTP error (400 or above)",
    "23": "what it received could not be written", "26": "the file to be sent could not be read",
    "28": "it took longer than its time limit", "35": "the TLS handshake failed",
    "37": "a file: URL could not be read", "47": "too many redirects", "51": "the server's certificate is not for this host",
    "52": "the server answered with nothing", "55": "sending failed", "56": "receiving failed",
    "58": "a problem with its own certificate", "60": "the server's certificate cannot be verified",
    "63": "the file is larger than allowed", "67": "user or password was refused",
    "77": "the file of CA certificates could not be read", "78": "the file of the URL does not exist",
}  # fmt: skip
_RSYNC = {
    "2": "the two ends speak different protocols", "3": "it could not choose its input or output files or directories",
    "5": "the protocol could not be started", "10": "the connection failed", "11": "a file could not be read or written",
    "12": "the stream of data broke (the other end, mostly)", "14": "its own communication between processes failed",
    "20": "it was ended by a signal", "21": "waiting for its child failed", "22": "it had no memory left",
    "23": "some files or attributes were not transferred", "24": "some files had vanished before they were transferred",
    "25": "--max-delete stopped it", "30": "no data came within its --timeout", "35": "the daemon did not answer within its --contimeout",
}  # fmt: skip
_NO_LINE = {"1": "no line matched"}
_FSCK = {
    "1": "errors of the file system were corrected", "2": "errors were corrected, the system should be rebooted",
    "4": "errors of the file system were left uncorrected", "8": "an operational error", "16": "wrong arguments",
    "32": "it was cancelled", "128": "a shared library is missing",
}  # fmt: skip
_FALSE = {"1": "its condition was not true"}
DOCUMENTED: dict[str, dict[str, str]] = {
    "[": _FALSE,
    "borg": {"1": "it ended with warnings: some files were not backed up"},
    "cmp": {"1": "the files differ"},
    "curl": _CURL,
    "dig": {"9": "no server answered", "10": "an internal error"},
    "diff": {"1": "the files differ"},
    "e2fsck": _FSCK,
    "egrep": _NO_LINE,
    "fgrep": _NO_LINE,
    "findmnt": {"1": "no such file system is mounted, or another error"},
    "flock": {"1": "somebody else holds the lock (-n, -w), or what it ran ended with 1"},
    "fping": {"1": "some hosts did not answer", "2": "some names could not be resolved"},
    "fsck": _FSCK,
    "getent": {"2": "the key was not found", "3": "the database cannot be enumerated"},
    "grep": _NO_LINE,
    "inotifywait": {"2": "no event came within its time (-t)"},
    "mountpoint": {"32": "it is not a mount point"},
    "nm-online": {"1": "the network was not up within its time"},
    "pg_isready": {
        "1": "the server refuses connections (it starts up, mostly)", "2": "no server answered",
        "3": "it made no attempt: wrong arguments",
    },
    "pgrep": {"1": "no process matched"},
    "pidof": {"1": "no process of that name runs"},
    "ping": {"1": "the host did not answer", "2": "the name could not be resolved, or another error"},
    "pkill": {"1": "no process matched"},
    "restic": {
        "3": "some files could not be read", "10": "the repository does not exist",
        "11": "the repository is locked", "12": "the password is wrong",
    },
    "rsync": _RSYNC,
    "ssh": {"255": "an error of ssh itself (the connection, mostly), or of what it ran there"},
    "systemctl": {"3": "the unit is not active", "4": "there is no such unit"},
    "tar": {"1": "some files differ, or changed while they were read"},
    "test": _FALSE,
    "timeout": {
        "124": "what it ran took longer than its time limit", "125": "timeout itself failed",
        "126": "what it was to run cannot be executed", "127": "what it was to run was not found",
        "137": "what it ran took longer than its time limit and was killed",
    },
    "wget": {
        "3": "a file could not be read or written", "4": "a failure of the network",
        "5": "the server's certificate cannot be verified", "6": "user or password was refused",
        "7": "a failure of the protocol", "8": "the server answered with an error",
    },
    "zgrep": _NO_LINE,
}  # fmt: skip


def documented(program: str, status: str | None) -> str:
    """What the manual page of ``program`` says of ``status``; empty where it is not known."""
    return DOCUMENTED.get(program.rpartition("/")[2], {}).get(status or "", "")
