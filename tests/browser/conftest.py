"""A real Chromium on the running system."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
URL = os.environ.get("HEALTH_URL", "http://127.0.0.1:8069")


@pytest.fixture(scope="session")
def chromium() -> Browser:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("HEALTH_CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def session_state(chromium: Browser):
    """Log in once; every page starts logged in."""
    context = chromium.new_context(base_url=URL, viewport=WIDE)
    page = context.new_page()
    page.goto("/web/login")
    page.fill("input[name=login]", os.environ.get("HEALTH_ADMIN_LOGIN", "admin"))
    page.fill("input[name=password]", os.environ.get("HEALTH_ADMIN_PASSWORD", "admin"))
    page.click("button[type=submit]")
    # the first page after the login builds the assets
    expect(page.locator(".o_web_client")).to_be_visible(timeout=90_000)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(params=[WIDE, NARROW], ids=["1280", "390"])
def page(request, chromium: Browser, session_state) -> Page:
    """A logged-in page at both widths. Console errors and failed requests of the
    page fail the test at its end."""
    context = chromium.new_context(
        base_url=URL, viewport=request.param, storage_state=session_state
    )
    page = context.new_page()
    page.width_name = str(request.param["width"])
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
