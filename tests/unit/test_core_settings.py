"""Where the key ring is named: the variable first, then the configuration file."""

import pytest
from health_connector.lib.settings import keyring_path

VARIABLE = {"HEALTH_KEYRING": "/from/variable.json"}
CONF = """
[options]
db_password = 100%{nothing}
db_password = twice

[health_connector]
keyring = /from/file-%(x)s.json
"""


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "odoo.conf"
    path.write_text(CONF, encoding="utf-8")
    return str(path)


def test_the_variable_wins(conf):
    assert keyring_path(conf, VARIABLE) == "/from/variable.json"
    assert keyring_path(None, VARIABLE) == "/from/variable.json"


def test_the_file_is_read_as_it_stands(conf):
    # Odoo's own section may hold percent signs and repeated names
    assert keyring_path(conf, {}) == "/from/file-%(x)s.json"


def test_an_empty_variable_names_nothing(conf):
    assert keyring_path(conf, {"HEALTH_KEYRING": ""}) == "/from/file-%(x)s.json"


def test_nothing_named_is_none(tmp_path):
    other = tmp_path / "odoo.conf"
    other.write_text("[options]\nkeyring = /elsewhere\n", encoding="utf-8")
    for rcfile in (None, "", str(other), str(tmp_path / "missing.conf")):
        assert keyring_path(rcfile, {}) is None


def test_the_environment_is_read_at_the_time_of_the_call(monkeypatch):
    monkeypatch.setenv("HEALTH_KEYRING", "/first")
    assert keyring_path(None) == "/first"
    monkeypatch.setenv("HEALTH_KEYRING", "/second")
    assert keyring_path(None) == "/second"
    monkeypatch.delenv("HEALTH_KEYRING")
    assert keyring_path(None) is None
