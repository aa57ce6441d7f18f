"""What a run would cost, against what it did cost."""

from __future__ import annotations

import pytest

from tests.support.small_runs import DIGITS, TUMOURS, benchmark, copied, finished, stamps
from uproar.bench.estimate import Cost, estimate
from uproar.results.result import Result


def test_people_read_round_numbers():
    cost = Cost(
        cells=1234,
        trainings=5678,
        seconds=61.2,
        disk_bytes=2.4e6,
        memory_bytes=4.4e8,
        passes=4321.2,
        dearest="ig",
        dearest_share=0.856,
    )
    assert cost.rows() == [
        ("cells", "1,234"),
        ("trainings", "5,678 (fewer where explainers rank alike)"),
        ("explaining", "4,322 passes of an example through the model, 86% of them for ig"),
        ("time", "about 1 min 02 s on this machine"),
        ("disk", "about 3 MB"),
        ("memory", "about 0.4 GB"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spec"), [("digits", DIGITS), ("tumours", TUMOURS)])
def test_cells_are_counted_exactly(name, spec, tmp_path):
    cost = estimate(benchmark(spec, tmp_path / "run"))
    result = Result.read(finished(name))
    assert cost.cells == len(result.jobs)
    assert cost.trainings == sum(job.trainings for job in result.jobs)
    assert cost.seconds > 0
    assert not (tmp_path / "run").exists()


def test_passes_are_those_of_these_data_and_refits_are_trainings(tmp_path):
    values = {**TUMOURS, "explainers": "random,pfi,loco:refits=2", "protocols": "roar"}
    cost = estimate(benchmark(values, tmp_path))
    # 30 columns, shuffled 5 times each; 57 of 569 examples are held out.
    assert cost.passes == 57 * (5 * 30 + 1)
    assert cost.dearest == "pfi"
    # 1 base model, 2 shared ends and 3 explainers at 1 fraction, twice each; loco's refits.
    assert cost.trainings == 1 + 2 * 2 + 3 * 2 + 2 * (30 + 1)


def test_more_work_costs_more(tmp_path):
    small, large = (
        estimate(benchmark({**TUMOURS, "repeats": repeats}, tmp_path)) for repeats in (2, 20)
    )
    assert large.trainings > 5 * small.trainings
    assert large.cells == small.cells
    assert large.disk_bytes > small.disk_bytes


def test_the_disk_is_estimated_within_a_factor_of_four():
    cost = estimate(benchmark(DIGITS, finished("digits")))
    used = Result.read(finished("digits")).store.size()
    assert used / 4 < cost.disk_bytes < used * 4


def test_an_estimate_of_a_finished_run_leaves_it_alone(tmp_path):
    out = copied("tumours", tmp_path)
    before = stamps(out)
    estimate(benchmark(TUMOURS, out))
    assert stamps(out) == before
