# SPDX-License-Identifier: MIT
"""``--user``: the same for an ordinary user's own units."""

import json

from tests.e2e.hooked import Hooked

_RULES = """
[action.touch]
type = "command"
argv = ["touch", "/home/ann/touched"]
sandbox = false
[[rule]]
name = "hers"
step = [{ on = "1", do = ["touch"] }]
"""


def test_user_manager(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    bed.shell("useradd -m -s /bin/sh ann && loginctl enable-linger ann")
    bed.wait(lambda: bed.exists("/run/user/1000/systemd/private"), timeout=20, what="ann's manager")
    bed.run(["/opt/failhook/bin/failhook", "install", "--user"], user="ann", timeout=60)
    directory = "/home/ann/.config/systemd/user"
    bed.run(["mkdir", "-p", directory], user="ann")
    bed.write(
        f"{directory}/mine.service",
        "[Unit]\nOnFailure=failhook@%n.service\n[Service]\n"
        "ExecStart=/bin/sh -c 'echo from ann; exit 4'\nExecStopPost=-failhook %%n\n".replace(
            "%%", "%"
        ),
    )
    bed.run(["mkdir", "-p", "/home/ann/.config/failhook"], user="ann")
    bed.write("/home/ann/.config/failhook/failhook.toml", _RULES)
    bed.run(["systemctl", "--user", "daemon-reload"], user="ann")
    bed.run(["systemctl", "--user", "start", "mine.service"], user="ann", check=False)

    def incidents() -> list[dict[str, object]]:
        done = bed.run(["failhook", "list", "--user", "--json"], user="ann")
        found: list[dict[str, object]] = json.loads(done.stdout)["incidents"]
        return found

    bed.wait(
        lambda: [one["stage"] for one in incidents()] == ["done"], timeout=20, what="one incident"
    )
    (incident,) = incidents()
    assert (incident["unit"], incident["manager"]) == ("mine.service", "user")
    assert (incident["result"], incident["exit_status"]) == ("exit-code", "4")
    assert incident["dying_words"] == ["from ann"]
    bed.wait(lambda: bed.exists("/home/ann/touched"), timeout=20, what="ann's action")
    why = json.loads(bed.run(["failhook", "why", "--user", "--json"], user="ann").stdout)["why"]
    assert [(one["name"], one["state"]) for one in why["actions"]] == [("touch", "done")]
    # the system's history is not ann's to read, and knows nothing of hers
    denied = bed.run(["failhook", "list"], user="ann", check=False)
    assert denied.returncode == 1
    assert "sudo" in denied.stderr.decode()
    assert fresh_hooked.incidents("mine.service") == []
    said = bed.run(["failhook", "uninstall", "--user"], user="ann", timeout=60).text
    assert "history stays" in said
    found = (
        "find /home/ann -name '*failhook*' -not -path '*/state/*' -not -path '*/.config/failhook*'"
    )
    assert bed.shell(f"{found} || true").text == ""
