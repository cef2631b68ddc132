# SPDX-License-Identifier: MIT
"""Install, enable, disable, uninstall: what they change, and that nothing is left."""

import pytest

from tests.bed import Machine
from tests.e2e.hooked import Hooked

_SNAPSHOT = "find /etc/systemd /usr/local /run/failhook /etc/failhook 2>/dev/null | sort"


def test_installed_units_verify_and_are_in_force(hooked: Hooked) -> None:
    bed = hooked.machine
    names = ["failhook.path", "failhook.socket", "failhook.service", "failhook-keep.service"]
    done = bed.run(
        ["systemd-analyze", "verify", "--man=no", *names, "failhook@foo.service"],
        check=False,
        timeout=60,
    )
    said = [line for line in done.stderr.decode().splitlines() if "failhook" in line]
    assert (done.returncode, said) == (0, [])
    for name in ("failhook.path", "failhook.socket", "failhook-keep.service"):
        assert bed.show(name, "ActiveState")["ActiveState"] == "active"


@pytest.mark.parametrize(
    ("unit", "most"),
    [("failhook.service", 5.0), ("failhook@foo.service", 2.0), ("failhook-keep.service", 2.0)],
)
def test_exposure_stays_low(hooked: Hooked, unit: str, most: float) -> None:
    done = hooked.machine.run(
        ["systemd-analyze", "security", "--no-pager", unit], check=False, timeout=60
    )
    (line,) = [line for line in done.text.splitlines() if "Overall exposure level" in line]
    exposure = float(line.split(":")[1].split()[0])
    assert exposure <= most


def test_install_again_changes_nothing(hooked: Hooked) -> None:
    before = hooked.machine.shell(_SNAPSHOT).text
    done = hooked.machine.run(["/opt/failhook/bin/failhook", "install", "--no-start"], timeout=60)
    assert "wrote" not in done.text
    assert hooked.machine.shell(_SNAPSHOT).text == before


def test_enable_and_disable_one_unit(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "enabled.service"
    bed.units({unit: "[Service]\nExecStart=false\n"})
    plan = bed.run(["failhook", "enable", unit, "--dry-run"]).text
    assert "would write /etc/systemd/system/enabled.service.d/50-failhook.conf" in plan
    assert not bed.exists("/etc/systemd/system/enabled.service.d")
    said = bed.run(["failhook", "enable", unit]).text
    assert "wrote /etc/systemd/system/enabled.service.d/50-failhook.conf" in said
    assert "nothing to change" in bed.run(["failhook", "enable", "enabled"]).text
    drop_in = bed.read("/etc/systemd/system/enabled.service.d/50-failhook.conf").decode()
    assert "+" not in drop_in
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit)
    bed.wait(lambda: len(hooked.show(unit)["triggers"]) == 2, what="both triggers in one incident")
    assert {one["kind"] for one in hooked.show(unit)["triggers"]} == {"stop-post", "on-failure"}
    assert incident["count"] == 1
    assert "removed" in bed.run(["failhook", "disable", unit]).text
    assert not bed.exists("/etc/systemd/system/enabled.service.d")


@pytest.mark.parametrize(
    ("unit", "code", "said"),
    [
        ("not-there.service", 3, "knows no unit"),
        ("failhook.service", 3, "failhook's own"),
        ("system.slice", 3, "cannot fail"),
        ("../../etc/passwd", 3, "not the name of a unit"),
    ],
)
def test_enable_refuses_what_makes_no_sense(
    hooked: Hooked, unit: str, code: int, said: str
) -> None:
    done = hooked.machine.run(["failhook", "enable", "--", unit], check=False)
    assert done.returncode == code
    assert said in done.stderr.decode()


def test_enable_all_hears_of_every_type_and_never_of_itself(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    bed.run(["failhook", "enable", "--all"], timeout=60)
    bed.units(
        {
            "plain.service": "[Service]\nExecStart=sh -c 'echo bye; exit 3'\n",
            "mnt-nothing.mount": "[Mount]\nWhat=/dev/not-there\nWhere=/mnt/nothing\nType=ext4\n",
            "broken.socket": "[Socket]\nListenStream=/proc/not-possible\nService=plain.service\n",
        }
    )
    for unit in ("plain.service", "mnt-nothing.mount", "broken.socket"):
        bed.systemctl("start", unit, check=False)
        (incident,) = fresh_hooked.wait_done(unit)
        assert incident["result"] not in (None, "success")
    # failhook's own units fail: nothing comes of it, and nothing starts itself without end
    bed.systemctl("kill", "-s", "KILL", "failhook.service", check=False)
    bed.units({"failhook-own.service": "[Service]\nExecStart=false\n"})
    bed.run(["mkdir", "-p", "/etc/systemd/system/failhook@x.service.service.d"])
    bed.write(
        "/etc/systemd/system/failhook@x.service.service.d/fail.conf",
        "[Service]\nExecStart=\nExecStart=false\n",
    )
    bed.systemctl("daemon-reload")
    bed.systemctl("start", "failhook@x.service.service", "failhook-own.service", check=False)
    bed.units({"last-one.service": "[Service]\nExecStart=false\n"})
    bed.systemctl("start", "last-one.service", check=False)
    fresh_hooked.wait_done("last-one.service")
    text = bed.run(["failhook", "list", "--json"]).text
    assert '"unit": "failhook' not in text
    started = bed.systemctl("list-units", "--all", "--plain", "failhook@failhook*").text
    assert "failhook@failhook@" not in started
    bed.run(["failhook", "disable", "--all"], timeout=60)
    assert bed.shell("ls -d /etc/systemd/system/*.d 2>/dev/null || true").text.count("50-") == 0


def test_uninstall_leaves_nothing_but_the_history(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    bed.units({"gone.service": "[Service]\nExecStart=false\n"})
    bed.run(["failhook", "enable", "gone.service"])
    bed.run(["failhook", "enable", "--all"], timeout=60)
    bed.systemctl("start", "gone.service", check=False)
    fresh_hooked.wait_done("gone.service")
    used = "from failhook import ready; print(ready.use())"
    assert bed.run(["/opt/failhook/bin/python3", "-I", "-c", used]).text == "True"
    done = bed.run(["failhook", "uninstall"], timeout=60)
    assert "the history stays in /var/lib/failhook" in done.text
    assert bed.run(["/opt/failhook/bin/python3", "-I", "-c", used]).text == "False"
    left = bed.shell("find /etc/systemd /usr/local /run -name '*failhook*' || true").text
    assert left == ""
    assert bed.exists("/var/lib/failhook/incidents")
    assert "failhook" not in bed.systemctl("list-units", "--all").text
    # a unit that still names the hook is not harmed by its absence when it was enabled by us
    bed.systemctl("start", "gone.service", check=False)
    bed.wait_state("gone.service", "failed")


def test_venv_below_root_home_serves_unprivileged_units(fresh_hooked: Hooked) -> None:
    """pipx and uv install below /root: no service could read that, so the hook is copied out."""
    bed: Machine = fresh_hooked.machine
    bed.run(["failhook", "uninstall"], timeout=60)
    bed.shell(
        "python3 -m venv --system-site-packages /root/.local/share/pipx/venvs/failhook && "
        "/root/.local/share/pipx/venvs/failhook/bin/pip install -q --no-index --no-deps "
        "/root/failhook-*.whl && chmod 0700 /root && "
        "mkdir -p /root/.local/bin && "
        "ln -s /root/.local/share/pipx/venvs/failhook/bin/failhook /root/.local/bin/failhook && "
        "/root/.local/bin/failhook install",
        timeout=120,
    )
    unit = "pipx.service"
    bed.units(
        {
            unit: "[Service]\nUser=nobody\nProtectHome=yes\nExecStart=/bin/false\n"
            "ExecStopPost=failhook\n"
        }
    )
    bed.systemctl("start", unit, check=False)
    assert fresh_hooked.wait_done(unit)[0]["exit_status"] == "1"
