"""Keys depend on kind and fields, exactly, and on nothing else; anything but JSON is refused."""

from __future__ import annotations

import enum
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.run.cell import Cell, Outcome, canonical, plain

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.text(), VALUES, max_size=5)


@pytest.mark.slow
@given(FIELDS, st.randoms(use_true_random=False))
def test_order_of_fields_and_label_do_not_matter(fields, random):
    names = list(fields)
    random.shuffle(names)
    shuffled = Cell("work", {name: fields[name] for name in names}, "other label")
    cell = Cell("work", fields, "label")
    assert shuffled.key == cell.key
    assert shuffled == cell
    assert hash(shuffled) == hash(cell)


@pytest.mark.slow
@given(FIELDS, st.text(), VALUES, VALUES)
def test_any_change_of_a_field_changes_the_key(fields, name, first, second):
    keys = {Cell("work", {**fields, name: value}).key for value in (first, second)}
    assert len(keys) == len({canonical(first), canonical(second)})
    without = {other: value for other, value in fields.items() if other != name}
    assert Cell("work", without).key not in keys


def test_look_alikes_have_different_keys():
    alike = [0, 0.0, -0.0, False, None, "0", "", [], {}, [0], "[0]", [[0]], {"0": 0}, 1e-320]
    assert len({Cell("work", {"x": value}).key for value in alike}) == len(alike)
    assert Cell("work", {"x": 1}).key != Cell("works", {"x": 1}).key
    assert Cell("work", {"x": 1}) != Cell("work", {"x": True})


def test_key_is_pinned():
    # Literal: a change of this number makes every store that exists useless.
    cell = Cell("retrain", {"explainer": "grad", "fraction": 0.1, "seeds": (0, 1), "ü": None})
    assert cell.key == "d3ab02ebaac8bc857b9b567cda2e6bb1"


def test_tuples_and_subclasses_become_plain():
    class Colour(enum.StrEnum):
        RED = "red"

    class Old(str, enum.Enum):  # noqa: UP042 - the other kind of text enumeration is what is tested
        BLUE = "blue"

    given_fields = {"a": (1, (2,)), "b": np.float64(0.5), "c": Colour.RED, "d": Old.BLUE}
    fields = Cell("work", given_fields).fields
    assert fields == {"a": [1, [2]], "b": 0.5, "c": "red", "d": "blue"}
    assert [type(value) for value in fields.values()] == [list, float, str, str]


def test_later_changes_of_the_given_dict_do_not_reach_the_cell():
    fields = {"a": [1]}
    cell = Cell("work", fields)
    fields["a"].append(2)
    assert cell.fields == {"a": [1]}
    assert cell.key == Cell("work", {"a": [1]}).key


def test_cells_can_be_sent_to_other_processes():
    cell = Cell("work", {"a": 1}, "label")
    assert pickle.loads(pickle.dumps(cell)) == cell


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.float32(1), TypeError, r"fields\['x'\]\['y'\]\[1\] must be JSON .* got float32"),
        (np.arange(2), TypeError, r"fields\['x'\]\['y'\]\[1\] must be JSON .* got ndarray"),
        ({1}, TypeError, r"fields\['x'\]\['y'\]\[1\] must be JSON .* got set"),
        ({1: 2}, TypeError, r"a key of fields\['x'\]\['y'\]\[1\] must be text, got int: 1"),
        (b"x", TypeError, r"fields\['x'\]\['y'\]\[1\] must be JSON .* got bytes"),
        (math.nan, ValueError, r"fields\['x'\]\['y'\]\[1\] must be finite, got nan"),
        (-math.inf, ValueError, r"fields\['x'\]\['y'\]\[1\] must be finite, got -inf"),
        ("\ud800", ValueError, r"fields\['x'\]\['y'\]\[1\] must be Unicode text"),
    ],
)
def test_refusals_name_the_field(value, error, message):
    with pytest.raises(error, match=message):
        Cell("work", {"x": {"y": [0, value]}})


def test_fields_must_be_a_mapping():
    with pytest.raises(TypeError, match="fields must map names to JSON, got list"):
        Cell("work", [1])


@pytest.mark.parametrize("kind", ["", "../up", "a/b", "Work", "a\n", "a" * 65, "ä", "a.b"])
def test_kinds_that_could_not_be_folders_are_refused(kind):
    with pytest.raises(ValueError, match="names a folder"):
        Cell(kind, {})


@pytest.mark.slow
@given(VALUES)
def test_plain_keeps_the_canonical_text(value):
    assert canonical(plain(value, "value")) == canonical(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array([None]),
        np.zeros(2, np.complex64),
        np.zeros(2, np.longdouble),
        np.zeros(2, "datetime64[s]"),
        [1.0],
        np.float32(1),
    ],
)
def test_arrays_that_cannot_be_stored_are_named(array):
    if getattr(array, "dtype", None) == np.float64:
        pytest.skip("this machine's long double is a double")
    with pytest.raises(TypeError, match=r"arrays\['correct'\] must be a NumPy array"):
        Outcome({}, {"correct": array})


@pytest.mark.parametrize("name", ["__metadata__", "a\nb", "\ud800", 1])
def test_array_names_that_cannot_be_stored_are_refused(name):
    with pytest.raises(ValueError, match="name of an array"):
        Outcome({}, {name: np.zeros(1)})


def test_outcome_refuses_nan_and_leaves_the_given_array_alone():
    with pytest.raises(ValueError, match=r"values\['accuracy'\] must be finite, got nan"):
        Outcome({"accuracy": math.nan})
    given_array = np.arange(6.0).reshape(2, 3)
    outcome = Outcome({}, {"a": given_array.T})
    assert given_array.flags.writeable
    assert not outcome.arrays["a"].flags.writeable
    np.testing.assert_array_equal(outcome.arrays["a"], given_array.T)
