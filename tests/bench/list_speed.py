"""The lists of a plain operator with a million messages stored: the slowest of them in
milliseconds, by the web client's own calls, record rules of three companies active.

Each list is measured as the second and later looks are: median of five after one that
warms up. Needs HEALTH_CONF and HEALTH_PG_DSN of a running system.
"""

from __future__ import annotations

import json
import os
import statistics
import time
import urllib.request
import uuid
from http.cookiejar import CookieJar

from _bench import SMOKE, connect, figure, odoo_shell, say
from _million import fill, make_interfaces

BAR = 300
LOOKS = 1 if SMOKE else 5
LOGIN = f"bench-{uuid.uuid4().hex[:8]}"
# of a company whose few messages are the oldest of all
RARE = 50

NAME = {"fields": {"display_name": {}}}
LIST = dict.fromkeys(
    ("accepted_at", "direction", "message_type", "external_ref", "state", "error_code")
    + ("tries", "is_behind", "next_try_at", "behind"),
    {},
) | {"interface_id": NAME, "backend_id": NAME, "company_id": NAME}
ATTEMPTS = dict.fromkeys(("number", "started_at", "step", "outcome", "code"), {})
PAYLOADS = dict.fromkeys(("stage", "size", "content_type", "key_id"), {})
FORM = LIST | {
    "display_name": {},
    "uid": {},
    "res_id": {},
    "conflict_id": NAME,
    "exception_id": NAME,
    "attempt_ids": {"fields": ATTEMPTS, "limit": 40, "order": ""},
    "payload_ids": {"fields": PAYLOADS, "limit": 40, "order": ""},
}
EXCEPTIONS = dict.fromkeys(("title", "state", "last_at", "message_count"), {}) | {
    "interface_id": NAME,
    "clinic_id": NAME,
    "owner_id": NAME,
}
FIGURES = dict.fromkeys(("hour", "accepted", "done", "parked", "open"), {}) | {
    "interface_id": NAME
}


class Operator:
    """A web client's session."""

    def __init__(self, companies: list[int]) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar())
        )
        self._context = {"lang": "en_US", "allowed_company_ids": companies}
        self.post(
            "/web/session/authenticate",
            {"db": os.environ["HEALTH_DB"], "login": LOGIN, "password": LOGIN},
        )

    def post(self, path: str, params: dict) -> object:
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        request = urllib.request.Request(
            os.environ["HEALTH_URL"] + path,
            body.encode(),
            {"Content-Type": "application/json"},
        )
        with self._opener.open(request, timeout=120) as response:
            answer = json.load(response)
        if "error" in answer:
            raise RuntimeError(answer["error"]["data"]["name"])
        return answer["result"]

    def call(self, model: str, method: str, *args, **kwargs) -> object:
        context = self._context | kwargs.pop("context", {})
        return self.post(
            f"/web/dataset/call_kw/{model}/{method}",
            {
                "model": model,
                "method": method,
                "args": args,
                "kwargs": kwargs | {"context": context},
            },
        )

    def search(self, model, domain, specification, order="") -> dict:
        """The first page of a list, as the web client asks for it."""
        return self.call(
            model,
            "web_search_read",
            domain=domain,
            specification=specification,
            order=order,
            limit=80,
            offset=0,
            count_limit=10001,
        )

    def group(self, model, domain, by) -> dict:
        """A list grouped by a field, groups closed."""
        return self.call(
            model,
            "web_read_group",
            domain=domain,
            groupby=[by],
            aggregates=["__count"],
            limit=80,
            auto_unfold=False,
        )


def lists(operator: Operator, parked: int) -> dict:
    """What is looked at, by name."""

    def messages(*domain):
        return lambda: operator.search("health.message", list(domain), LIST, "id desc")

    message, stat = "health.message", "health.interface.stat"
    needs = ("state", "in", ["parked", "unknown"])
    return {
        "messages": messages(),
        "needs a person": messages(needs),
        "open": messages(("state", "in", ["pending", "processing", "waiting"])),
        "done": messages(("state", "=", "done")),
        "last day": messages(("accepted_at", ">=", "-1d")),
        "open too long": messages(
            ("state", "in", ["pending", "processing", "waiting", "parked", "unknown"]),
            ("accepted_at", "<", "-30d"),
        ),
        "by reference": messages(("external_ref", "=", "REF-500000")),
        "by number": messages(("id", "=", parked)),
        "by type": messages(("message_type", "=like", "ADT%")),
        "of an interface": messages(("interface_id", "ilike", "Bench 0")),
        "on hold": messages(("legal_hold", "=", True)),
        "replays": messages(("replay_of_id", "!=", False)),
        "by interface": lambda: operator.group(message, [], "interface_id"),
        "by state": lambda: operator.group(message, [], "state"),
        "by exception": lambda: operator.group(message, [], "exception_id"),
        "needs a person by interface": lambda: operator.group(
            message, [needs], "interface_id"
        ),
        "one message": lambda: operator.call(
            "health.message", "web_read", [parked], FORM
        ),
        "exceptions": lambda: operator.search(
            "health.exception", [("state", "=", "open")], EXCEPTIONS
        ),
        "statistics": lambda: operator.group(stat, [], "interface_id"),
        "statistics, list": lambda: operator.search(stat, [], FIGURES),
    }


def make_operator(companies: list[int]) -> None:
    odoo_shell(f"""
env["res.users"].create({{
    "name": "Bench", "login": "{LOGIN}", "password": "{LOGIN}",
    "company_id": {companies[0]}, "company_ids": [(6, 0, {companies})],
    "group_ids": [(6, 0, [env.ref("base.group_user").id,
        env.ref("base.group_multi_company").id,
        env.ref("health_base.group_operator").id])]}})
env["health.interface.stat"]._cron_roll_up()
env.cr.commit()
""")


def measure(look) -> float:
    """Milliseconds of a look."""
    look()
    spans = []
    for _look in range(LOOKS):
        started = time.perf_counter()
        look()
        spans.append((time.perf_counter() - started) * 1000)
    return statistics.median(spans)


def main() -> None:
    flows = make_interfaces(5)
    fill(flows[4:], RARE)
    fill(flows[:4])
    companies = [flows[0][2], flows[1][2], flows[4][2]]
    make_operator(companies)
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM health_message WHERE state = 'parked'")
        parked = cursor.fetchone()[0]
    spans = {}
    for chosen in (companies, companies[:1], companies[2:]):
        operator = Operator(chosen)
        for name, look in lists(operator, parked).items():
            if name == "one message" and len(chosen) == 1:
                continue
            spans[f"{name} ({len(chosen)})"] = span = measure(look)
            say(f"  {span:6.0f} ms  {name}, companies {chosen}")
    slowest = max(spans, key=spans.get)
    say(f"  slowest: {slowest}")
    figure("list_ms", spans[slowest], "ms", at_most=BAR)


if __name__ == "__main__":
    main()
