from attnreplace.distill.passes import BYTES_PER_PARAMETER, MEMORY_SHARE, plan_passes

STUDENTS = {"a": 10, "b": 20, "c": 30}


def free(parameters: int) -> float:
    return parameters * BYTES_PER_PARAMETER / MEMORY_SHARE + 1


def test_all_in_one_pass_where_they_fit() -> None:
    plan = plan_passes(STUDENTS, free(60))
    assert plan.groups == [["a", "b", "c"]]
    assert str(plan).startswith("3 students to train, 60 parameters, 0.00 GiB of 0.00 GiB")
    assert str(plan).endswith("may be used: 1 pass")


def test_memory_makes_passes() -> None:
    plan = plan_passes(STUDENTS, free(59))
    assert plan.groups == [["a", "b"], ["c"]]
    assert str(plan).endswith("2 passes, for the memory")
    # What does not fit at all is tried alone.
    assert plan_passes(STUDENTS, 0).groups == [["a"], ["b"], ["c"]]


def test_max_students_makes_passes() -> None:
    plan = plan_passes(STUDENTS, free(60), most=2)
    assert plan.groups == [["a", "b"], ["c"]]
    assert str(plan).endswith("2 passes, for max_students")


def test_nobody_joins_an_interrupted_pass() -> None:
    plan = plan_passes(STUDENTS, free(60), interrupted={"b"})
    assert plan.groups == [["b"], ["a", "c"]]
    assert str(plan).endswith("2 passes, one is taken up where it was interrupted")
    assert str(plan_passes(STUDENTS, free(60), interrupted=set(STUDENTS))).endswith("1 pass")


def test_nothing_to_do() -> None:
    assert plan_passes({}, free(1)).groups == []
