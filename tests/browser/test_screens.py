"""Every screen opens at both widths, shows what it is for, and is photographed.

``HEALTH_SCREENSHOTS`` names the folder for the pictures; docs/img/exceptions.png of
the README is one of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

SHOTS = Path(
    os.environ.get("HEALTH_SCREENSHOTS")
    or Path(os.environ.get("HEALTH_LOG_DIR", "/tmp")) / "screenshots"
)

#: address, and a text that must be on the screen
SCREENS = {
    "exceptions": ("/odoo/health-exceptions", "no such order here"),
    "messages": ("/odoo/health-messages", "ORU^R01"),
    "legal-holds": ("/odoo/health-legal-holds", ""),
    "table-sizes": ("/odoo/health-table-sizes", "health_message"),
    "stored": ("/odoo/health-stored", ""),
    "statistics": ("/odoo/health-statistics", ""),
    "replays": ("/odoo/health-replays", ""),
    "backends": ("/odoo/health-backends", "North Lab"),
    "interfaces": ("/odoo/health-interfaces", "northlab-oru"),
    "mappings": ("/odoo/health-mappings", "lab.result"),
    "contracts": ("/odoo/health-contracts", "lab.result"),
    "code-maps": ("/odoo/health-code-maps", ""),
    "secrets": ("/odoo/health-secrets", ""),
    "playbooks": ("/odoo/health-playbooks", "lab.order_unknown"),
    "bindings": ("/odoo/health-bindings", ""),
    "orders": ("/odoo/health-lab-orders", "LAB-"),
    "patients": ("/odoo/health-patients", ""),
    "clinics": ("/odoo/health-clinics", "Northside"),
    "practitioners": ("/odoo/health-practitioners", ""),
}


def photograph(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{page.width_name}.png")


def open_screen(page: Page, address: str) -> None:
    """Open an address and wait until the view has its records."""
    page.goto(address)
    expect(page.locator(".o_action_manager .o_view_controller")).to_be_visible()
    expect(page.locator(".o_loading_indicator")).to_have_count(0)


@pytest.mark.parametrize("name", SCREENS)
def test_screen(page: Page, name: str) -> None:
    address, text = SCREENS[name]
    open_screen(page, address)
    if text:
        expect(page.locator(".o_action_manager")).to_contain_text(text)
    # nothing sticks out to the side
    overflow = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    assert not overflow
    photograph(page, name)


def test_an_exception_says_what_to_do(page: Page) -> None:
    open_screen(page, SCREENS["exceptions"][0])
    page.get_by_text("no such order here").first.click()
    form = page.locator(".o_form_view")
    expect(form).to_contain_text("What to do")
    expect(form.get_by_role("button", name="Process again").first).to_be_attached()
    photograph(page, "exception")


def test_a_message_shows_its_path_and_no_content(page: Page) -> None:
    open_screen(page, SCREENS["messages"][0])
    page.get_by_text(re.compile(r"ORU\^R01")).first.click()
    form = page.locator(".o_form_view")
    expect(form).to_contain_text("Attempts")
    form.get_by_role("tab", name="Stored content").click()
    expect(form).to_contain_text("As received")
    for content in ("MSH|", "PID|", "MRN1000"):
        expect(form).not_to_contain_text(content)
    photograph(page, "message")


def test_an_order_leads_to_its_messages(page: Page) -> None:
    open_screen(page, SCREENS["orders"][0])
    page.get_by_text(re.compile(r"LAB-\d{6}")).first.click()
    expect(page.locator(".o_form_view")).to_contain_text(re.compile(r"LAB-\d{6}"))
    photograph(page, "order")
