"""What is selected in the list of messages is what the server is told."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

# cards have no selection of a whole search: wide only
pytestmark = pytest.mark.parametrize(
    "page", [{"width": 1280, "height": 800}], ids=["1280"], indirect=True
)
DONE = re.compile("^Done$")
SEARCH = re.compile(r"State\s*=\s*Done")


def list_done(page: Page) -> None:
    page.goto("/odoo/health-messages")
    expect(page.locator(".o_data_row").first).to_be_visible()
    page.locator(".o_searchview_dropdown_toggler").click()
    page.locator(".o_filter_menu .o_menu_item", has_text=DONE).click()
    page.keyboard.press("Escape")
    expect(page.locator(".o_facet_value", has_text=DONE)).to_be_visible()
    expect(page.locator(".o_data_row").first).to_contain_text("Done")


def replay_dialog(page: Page) -> Locator:
    page.locator(".o_cp_action_menus button", has_text="Actions").click()
    page.locator(".o-dropdown--menu .o_menu_item", has_text="Replay…").click()
    dialog = page.locator(".modal .o_form_view")
    expect(dialog).to_contain_text("record(s)")
    return dialog


def test_a_whole_search_is_sent_as_a_search(page: Page) -> None:
    list_done(page)
    page.locator("thead .o_list_record_selector input").check()
    box = page.locator(".o_selection_box")
    box.get_by_text("Select all").click()
    expect(box).to_contain_text("All")
    total = re.search(r"\d+", box.inner_text()).group()
    dialog = replay_dialog(page)
    expect(dialog).to_contain_text(SEARCH)
    expect(dialog).to_contain_text(f"{total} record(s)")


def test_ticked_rows_are_sent_as_these_rows(page: Page) -> None:
    list_done(page)
    for row in (0, 1):
        page.locator(".o_data_row .o_list_record_selector input").nth(row).check()
    dialog = replay_dialog(page)
    expect(dialog).not_to_contain_text(SEARCH)
    expect(dialog).to_contain_text("2 record(s)")
