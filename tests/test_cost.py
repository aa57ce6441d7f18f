"""What a run would cost, against what it did cost."""

from __future__ import annotations

import pytest

from small_runs import DIGITS, TUMOURS, benchmark, finished, run
from uproar.cost import Cost, estimate
from uproar.result import Result


def test_people_read_round_numbers():
    cost = Cost(cells=1234, trainings=5678, seconds=61.2, disk_bytes=2.4e6, memory_bytes=4.4e8)
    assert cost.rows() == [
        ("cells", "1,234"),
        ("trainings", "5,678 (fewer where explainers rank alike)"),
        ("time", "about 1 min 02 s on this machine"),
        ("disk", "about 3 MB"),
        ("memory", "about 0.4 GB"),
    ]


@pytest.mark.parametrize(("name", "spec"), [("digits", DIGITS), ("tumours", TUMOURS)])
def test_cells_are_counted_exactly(name, spec, tmp_path):
    cost = estimate(benchmark(spec, tmp_path / "run"))
    result = Result.read(finished(name))
    assert cost.cells == len(result.jobs)
    assert cost.trainings == sum(job.trainings for job in result.jobs)
    assert cost.seconds > 0
    assert not (tmp_path / "run").exists()


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
    result = run(TUMOURS, tmp_path / "run")
    before = result.store.size()
    estimate(benchmark(TUMOURS, tmp_path / "run"))
    assert result.store.size() == before
