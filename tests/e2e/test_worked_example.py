"""docs/add-a-connector.rst, followed to the letter: its blocks become an addon, the
addon is installed, and referrals are posted to it as the page says."""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add-a-connector.rst").read_text(encoding="utf-8")
ADDON = "health_connector_referral"
BLOCK = re.compile(
    r"^``(?P<path>[\w./-]+)``\n\n\.\. code-block:: \w+\n\n(?P<code>(?:   .*\n|\n)+)",
    re.M,
)
KEY = f"hk_{uuid.uuid4().hex}"

#: a database with all addons and demo data, and a configuration that also knows
#: the folder of the example; prints the database, the configuration and the port
PREPARE = """
source setup/lib.sh && source setup/pg.sh && source setup/db.sh
prepare
db=health_example_$$ conf=$STATE/conf/health_example_$$.conf
read -r port gevent < <(free_ports 2)
db_clone "$(template_of_ours)" "$db"
write_conf "$conf" "$db" "$port" "$gevent" 0
sed -i "s|^addons_path = .*|&,$EXAMPLE|" "$conf"
echo "$db" "$conf" "$port" "$(pg_settings | sed -n 's/^db_//p' | tr -d ' ' | xargs)"
"""
CLEAN_UP = """
source setup/lib.sh && source setup/pg.sh && source setup/db.sh
use_postgres && db_drop "$DB" && rm -f "$CONF"
"""
MAKE_KEY = f"""
backend = env.ref("{ADDON}.backend")
secret = env["health.secret"].create({{"name": "Test", "backend_id": backend.id}})
secret._set_value("{KEY}")
env.cr.commit()
"""


def blocks():
    """{path: content} of the page's blocks that are files of the addon."""
    found = {}
    for block in BLOCK.finditer(PAGE):
        lines = [line[3:] for line in block["code"].strip("\n").split("\n")]
        found[block["path"]] = "\n".join(lines) + "\n"
    return found


def bash(script, **variables):
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class Site:
    """The example's Odoo: its database, and its address."""

    def __init__(self, prepared, addons_path):
        self.db, self.conf, port, settings = prepared.split(maxsplit=3)
        self.url = f"http://127.0.0.1:{port}"
        self.dsn = f"dbname={self.db} {settings}"
        self.environ = {**os.environ, "ODOO_ADDONS_PATH": addons_path}

    def odoo(self, *arguments, script=None):
        done = subprocess.run(
            [ROOT / "setup/odoo", *arguments, "-c", self.conf, "-d", self.db],
            input=script,
            text=True,
            capture_output=True,
            env=self.environ,
            timeout=300,
        )
        log = done.stdout + done.stderr
        assert done.returncode == 0, log[-3000:]
        assert " ERROR " not in log, log[-3000:]

    @contextlib.contextmanager
    def running(self, log):
        with log.open("w") as output:
            server = subprocess.Popen(
                [ROOT / "setup/odoo", "-c", self.conf, "-d", self.db],
                stdout=output,
                stderr=output,
                env=self.environ,
            )
        try:
            wait_for(lambda: self.answers(server), 60)
            yield
        finally:
            server.terminate()
            server.wait(30)

    def answers(self, server):
        assert server.poll() is None, "Odoo ended"
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/web/health", timeout=2)

    def query(self, sql, *params):
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()

    def post(self, body):
        """The status and the raw answer, as curl of the page would get them."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.url}/health/in/referrals", raw, headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def settled(self, message_id):
        """How a message ended: its state, cause and reason."""

        def ended():
            rows = self.query(
                """SELECT state, error_code, reason FROM health_message
                    WHERE id = %s AND state IN ('done', 'ignored', 'parked')""",
                message_id,
            )
            return rows and rows[0]

        return wait_for(ended, 90)

    def todos(self):
        """(patient's number, summary, deadline) of every referral's to-do."""
        return self.query(
            """SELECT i.value, a.summary, a.date_deadline::text
                 FROM mail_activity a JOIN health_identifier i
                   ON i.partner_id = a.res_id AND a.res_model = 'res.partner'
                WHERE a.summary LIKE 'Referral %%' AND i.system = 'HEALTHGROUP'
             ORDER BY a.summary"""
        )

    def titles(self):
        """What staff read in the list of exceptions."""
        marker = "TITLES:"
        script = f"""
found = env["health.exception"].search([("interface_id.code", "=", "referrals")])
print("{marker}" + "|".join(sorted(found.mapped("title"))))
"""
        done = subprocess.run(
            [ROOT / "setup/odoo", "shell", "-c", self.conf, "--no-http"],
            input=script,
            text=True,
            capture_output=True,
            env=self.environ,
            timeout=120,
        )
        line = next(x for x in done.stdout.splitlines() if x.startswith(marker))
        return line.removeprefix(marker).split("|")


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    for path, content in blocks().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    prepared = bash(PREPARE, EXAMPLE=str(folder))
    site = Site(prepared, f"{ROOT / 'addons'},{folder}")
    try:
        site.odoo("-i", ADDON, "--stop-after-init", "--no-http")
        site.odoo("shell", "--no-http", script=MAKE_KEY)
        with site.running(folder / "odoo.log"):
            yield site
    finally:
        bash(CLEAN_UP, DB=site.db, CONF=site.conf)


def referral(event, number="REF-7", patient="MRN100001", **changes):
    """What the portal sends, from the page itself."""
    text = re.search(r"\.\. code-block:: json\n\n((?:   .*\n)+)", PAGE)[1]
    body = json.loads(text)
    body["event"] = event
    body["referral"].update(number=number, **changes)
    body["patient"]["mrn"] = patient
    return body


def test_the_example_stays_under_a_hundred_lines():
    files = blocks()
    assert f"{ADDON}/__manifest__.py" in files
    assert len(files) == 6
    assert sum(content.count("\n") for content in files.values()) < 100


def test_a_referral_becomes_a_to_do_and_its_change_moves_it(site):
    status, answer = site.post(referral("e-1"))
    assert status == 202
    assert site.settled(json.loads(answer)["id"]) == ("done", None, None)
    assert site.todos() == [("MRN100001", "Referral REF-7: Cardiology", "2027-05-01")]

    assert site.post(referral("e-1")) == (202, answer)

    _status, changed = site.post(referral("e-2", contact_by="2027-06-15"))
    assert site.settled(json.loads(changed)["id"])[0] == "done"
    assert site.todos() == [("MRN100001", "Referral REF-7: Cardiology", "2027-06-15")]
    assert len(site.query("SELECT 1 FROM health_message")) == 2

    site.query("UPDATE mail_activity SET active = false RETURNING id")
    _status, late = site.post(referral("e-3"))
    assert site.settled(json.loads(late)["id"]) == ("ignored", None, "referral.closed")


def test_what_needs_a_person_waits_under_its_title(site):
    held = {
        "referral.patient_unknown": referral("e-10", "REF-10", patient="MRN999"),
        "mapping.code": referral("e-11", "REF-11", specialty="XYZ"),
        "contract.invalid": referral("e-12", "REF-12", contact_by=None),
        "mapping.convert": referral("e-13", "REF-13", contact_by="soon"),
    }
    before = site.todos()
    for code, body in held.items():
        status, answer = site.post(body)
        assert status == 202
        assert site.settled(json.loads(answer)["id"])[:2] == ("parked", code)
    assert site.todos() == before
    assert site.titles() == [
        "Code XYZ is missing in code map referral.specialties",
        "Referral REF-10: no patient has this number",
        "Referrals: content could not be matched (contact_by)",
        "Referrals: content does not fit the contract",
    ]


def test_what_is_no_referral_at_all_is_refused_at_the_door(site):
    before = site.query("SELECT count(*) FROM health_message")
    status, answer = site.post(b"{no json")
    assert (status, json.loads(answer)["code"]) == (400, "json.syntax")
    status, _answer = site.post(json.dumps(referral("e-1", "REF-8")).encode())
    assert status == 409
    after = site.query("SELECT count(*) FROM health_message WHERE conflict_id IS NULL")
    assert after == before
