"""Array constants mean what the list meant."""

import pytest
from health_connector.lib.prepared import as_constant


@pytest.mark.parametrize(
    ("value", "constant"),
    [
        (["a", "b"], '{"a","b"}'),
        ([1, None, -3], "{1,NULL,-3}"),
        (['say "hi"', "back\\slash", "", "NULL", "a,b{}", "Müller"],
         '{"say \\"hi\\"","back\\\\slash","","NULL","a,b{}","Müller"}'),
        ([], "{}"),
    ],
)  # fmt: skip
def test_a_list_of_plain_values_is_one_constant(value, constant):
    assert as_constant(value) == constant


@pytest.mark.parametrize(
    "value", [[b"x"], ["a", b"x"], [True], [1.5], [["a"]], "text", 7, None, ("a",)]
)
def test_anything_else_is_left_alone(value):
    assert as_constant(value) is value
