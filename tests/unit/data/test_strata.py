from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from attnreplace.data.strata import mixed


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 3))
def test_every_beginning_has_every_class_in_its_share(labels, seed):
    order = mixed(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    whole = Counter(labels)
    for count in range(len(labels) + 1):
        found = Counter(labels[index] for index in order[:count])
        for label, members in whole.items():
            assert abs(found[label] - members * count / len(labels)) <= len(whole)


def test_the_seed_alone_decides_the_order_within_a_class():
    labels = [0, 1] * 20
    assert mixed(labels, 1) == mixed(labels, 1) != mixed(labels, 2)
