"""When a run of Odoo's tests counts as failed, and the closing line of all tests."""

import importlib.util
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / "setup"
STAMP = "2026-01-02 03:04:05,678 4711"
GOOD = (
    f"{STAMP} INFO db odoo.tests.result: 0 failed, 0 error(s) of 7 tests"
    " when loading database 'db' \n"
)


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, SETUP / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


odoo_log = load("odoo_log")
summary = load("summary")


def test_a_good_run():
    verdict = odoo_log.judge(GOOD, 0)
    assert verdict.good
    assert str(verdict) == "7 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize(
    "line, said",
    [
        (
            f"{STAMP} INFO db odoo.addons.x.tests.test_tour: skipped TestTour.test_a"
            " : Chrome executable not found",
            "6 passed, 0 failed, 1 skipped",
        ),
        (
            f"{STAMP} ERROR db odoo.schema: Table 'x': unable to add constraint",
            "1 odoo.schema errors",
        ),
    ],
)
def test_what_odoo_forgives_is_a_failure_here(line, said):
    verdict = odoo_log.judge(f"{line}\n{GOOD}", 0)
    assert not verdict.good
    assert said in str(verdict)


def test_failures_and_the_exit_status_count():
    log = GOOD.replace("0 failed, 0 error(s)", "1 failed, 2 error(s)")
    assert str(odoo_log.judge(log, 1)).startswith("4 passed, 3 failed")
    assert not odoo_log.judge(GOOD, 255).good


def test_the_traceback_is_shown_with_its_error(tmp_path, capsys):
    log = tmp_path / "odoo.log"
    log.write_text(f"{STAMP} ERROR db odoo.x: FAIL: T.t\nTraceback:\n  why\n{GOOD}")
    assert odoo_log.main(str(log), "1") == 1
    assert "FAIL: T.t\nTraceback:\n  why" in capsys.readouterr().out


def test_closing_line_adds_everything_up(tmp_path, capsys):
    (tmp_path / "unit.xml").write_text(
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/>'
        "</testsuites>"
    )
    (tmp_path / "odoo.counts").write_text("10 0 0\n")
    assert summary.main(str(tmp_path), "1") == 1
    assert capsys.readouterr().out == "12 passed, 2 failed, 1 skipped\n"


def test_a_step_that_died_is_a_failure(tmp_path, capsys):
    (tmp_path / "odoo.counts").write_text("10 0 0\n")
    assert summary.main(str(tmp_path), "1") == 1
    assert capsys.readouterr().out == "10 passed, 1 failed\n"


def test_nothing_ran_is_no_success(tmp_path):
    assert summary.main(str(tmp_path), "0") == 1
