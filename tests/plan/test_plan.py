"""Plans: keys that stay, keys that change with exactly what they should, shared cells, counts."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

import uproar.explain.names
import uproar.plan.plan
from uproar.plan.effort import Sizes
from uproar.plan.job import ALL, ENDS, KEPT, digests_of, read_all, read_explained
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.registry import Entry
from uproar.run.cell import Outcome
from uproar.run.store import Store
from uproar.types import Recipe

SMALL = {
    "explainers": "grad,random",
    "fractions": [0.5],
    "repeats": 2,
    "base_models": 1,
    "training": "dense",
    "recipe": asdict(Recipe("adam", 1e-2, "cosine", 15, 128, 0.0)),
}
RETRAINED = {"roar", "kar"}
ONCE = {"retrain-once-model", "retrain-once"}
KINDS = {*RETRAINED, *ONCE, "mask-only", "no-retrain", "data", "base-model", "explain"}


def plan(**values: object) -> Plan:
    return Plan(Spec.from_mapping({**SMALL, **values}).checked())


def keys(subject: Plan) -> dict[tuple, str]:
    return {
        (job.kind, job.explainer, job.family, job.base): job.cell.key
        for job in subject.prospective_jobs()
    }


def test_keys_stay_what_they_were_in_stored_results() -> None:
    shown = [(job.cell.label, job.cell.key[:8]) for job in plan().prospective_jobs()]
    assert shown == [
        ("data: digits", "8f98fe09"),
        ("base model 0", "69da9f53"),
        ("explain: grad", "7cab415b"),
        ("explain: random", "3927df25"),
        ("retrain-once: train (mean)", "8db69282"),
        ("roar: all (mean)", "578cc550"),
        ("retrain-once: all (mean)", "803a1835"),
        ("no-retrain: all (mean)", "f263cba5"),
        ("roar: grad (mean)", "d24a4b5a"),
        ("roar: random (mean)", "52b17e41"),
        ("kar: grad (mean)", "d709d9b4"),
        ("kar: random (mean)", "0c3e1ccf"),
        ("mask-only: grad", "b7fd2381"),
        ("mask-only: random", "d181bea6"),
        ("retrain-once: grad (mean)", "36c8eec8"),
        ("retrain-once: random (mean)", "0028fe96"),
        ("no-retrain: grad (mean)", "6e188772"),
        ("no-retrain: random (mean)", "c491a4f4"),
    ]


def test_no_key_depends_on_what_estimates_know_of_the_data() -> None:
    subject = plan(explainers="occlusion,pfi,grad")
    known = replace(subject, sizes=Sizes(features=9, outputs=7, explained=5000, validation=700))
    assert keys(known) == keys(subject)
    weights = [{job.family: job.weight for job in p.explain_jobs()} for p in (subject, known)]
    # 64 + 1 and 9 + 1 passes; 5 * features + 1 for each held-out example, a tenth and 0.14 of all.
    assert [w["occlusion"] for w in weights] == pytest.approx([65.2, 10.2])
    assert [w["pfi"] for w in weights] == pytest.approx([0.2 + 321 * 0.1, 0.2 + 46 * 0.14])


def changed(before: Plan, after: Plan) -> set[str]:
    """Return the kinds with a key that changed; what is new or gone does not count."""
    old, new = keys(before), keys(after)
    return {job[0] for job in old.keys() & new.keys() if old[job] != new[job]}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"seed": 1}, KINDS),
        ({"data": "breast-cancer"}, KINDS),
        ({"data_digest": "abc"}, KINDS),
        ({"model": "linear"}, KINDS - {"data"}),
        ({"recipe": {"epochs": 14}}, KINDS - {"data"}),
        ({"recipe": {"weight_decay": 0.1}}, KINDS - {"data"}),
        ({"training": "stacked"}, KINDS - {"data"}),
        ({"repeats": 3}, {*RETRAINED, *ONCE}),
        ({"mask_only_repeats": 1}, {"mask-only"}),
        ({"removals": "zero"}, {*RETRAINED, *ONCE, "no-retrain"}),
        ({"retrain_once_epochs": 99}, ONCE),
        ({"gallery_examples": 3}, {"data", "explain"}),
        ({"kept_examples": 20}, {"explain"}),
        ({"explainers": "grad,abs-grad,random"}, {"explain"}),
        ({"base_models": 2}, {*RETRAINED, *ONCE, "mask-only"}),
        ({"protocols": "roar"}, set()),
        ({"bootstrap_draws": 9}, set()),
        ({"device": "cpu"}, set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_change_of_the_spec_changes_the_keys_that_it_should(values: dict, kinds: set) -> None:
    assert changed(plan(), plan(**values)) == kinds


def test_other_fractions_change_the_curves_but_not_the_shared_ends() -> None:
    before, after = keys(plan()), keys(plan(fractions=[0.25]))
    moved = {job for job in before if before[job] != after[job]}
    curves = {*RETRAINED, "mask-only", "retrain-once", "no-retrain"}
    assert {job[0] for job in moved} == curves
    assert moved == {job for job in before if job[0] in curves and job[1] != ALL}


def raised(registry: tuple[Entry, ...], name: str) -> tuple[Entry, ...]:
    return tuple(replace(e, version=e.version + 1) if e.name == name else e for e in registry)


@pytest.mark.parametrize(
    ("registry", "name", "kinds"),
    [
        ("DATA", "digits", KINDS),
        ("MODELS", "mlp", KINDS - {"data"}),
        ("REMOVALS", "mean", {*RETRAINED, *ONCE, "no-retrain"}),
        ("PROTOCOLS", "roar", {"roar"}),
        ("PROTOCOLS", "mask-only", {"mask-only"}),
        ("PROTOCOLS", "retrain-once", ONCE),
        ("PROTOCOLS", "no-retrain", {"no-retrain"}),
    ],
)
def test_a_raised_version_changes_the_keys_that_rest_on_it(
    registry: str, name: str, kinds: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(plan())
    module = uproar.protocols if registry == "PROTOCOLS" else uproar.plan.plan
    monkeypatch.setattr(module, registry, raised(getattr(module, registry), name))
    after = keys(plan())
    assert {job[0] for job in before if before[job] != after[job]} == kinds


def test_a_raised_version_of_an_explainer_changes_its_family_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = keys(plan())
    registry = raised(uproar.explain.names.EXPLAINERS, "grad")
    monkeypatch.setattr(uproar.explain.names, "EXPLAINERS", registry)
    after = keys(plan())
    moved = [job for job in before if before[job] != after[job]]
    assert [job[:3] for job in moved] == [("explain", ALL, "grad")]


def test_another_ranking_changes_the_curves_of_its_explainer_alone() -> None:
    one, other = (
        {
            (job.protocol, job.explainer): job.cell.key
            for job in plan().curve_jobs({(0, "grad"): digest, (0, "random"): "same"})
        }
        for digest in ("a", "b")
    )
    moved = {job for job in one if one[job] != other[job]}
    assert moved == {job for job in one if job[1] == "grad"}


def test_explainers_that_rank_alike_share_their_cells() -> None:
    digests = {(0, "abs-grad"): "same", (0, "sq-grad"): "same", (0, "random"): "other"}
    jobs = list(plan(explainers="abs-grad,sq-grad,random").curve_jobs(digests))
    assert len(jobs) == 15
    assert len({job.cell for job in jobs}) == 10
    first, second = jobs[:2]
    assert (first.cell, first.explainer, second.explainer) == (
        second.cell,
        "abs-grad",
        "sq-grad",
    )


def test_base_models_share_no_retraining_even_where_they_rank_alike() -> None:
    subject = plan(base_models=2, repeats=2)
    jobs = list(subject.curve_jobs({(0, "random"): "same", (1, "random"): "same"}))
    cells = {
        protocol: {job.cell for job in jobs if job.protocol == protocol}
        for protocol in subject.spec.protocols
    }
    assert {protocol: len(found) for protocol, found in cells.items()} == {
        "roar": 2,
        "kar": 2,
        "mask-only": 2,
        "retrain-once": 2,
        "no-retrain": 2,
    }


def test_the_default_run_trains_1340_models() -> None:
    jobs = Plan(Spec().checked()).prospective_jobs()
    # 5 base, 5 retrain-once, 10 shared ends; 22 explainers x 5 fractions x (5 + 5 + 2) repeats.
    assert sum(job.trainings for job in jobs) == 1340 == 5 + 5 + 10 + 22 * 5 * 12
    assert len(jobs) == len({job.cell for job in jobs})


def test_repeats_are_shared_by_the_base_models() -> None:
    """Each base model has some of its own, and of mask-only the first ones have one."""
    subject = plan(repeats=4, base_models=2, mask_only_repeats=1)
    together = plan(repeats=4).seeds(0)
    assert (subject.seeds(0), subject.seeds(1)) == (together[::2], together[1::2])
    asked = {(job.protocol, job.base): job.trainings for job in subject.prospective_jobs()}
    assert asked["roar", 0] == asked["roar", 1] == asked["kar", 1] == 2
    assert asked["mask-only", 0] == 1
    assert ("mask-only", 1) not in asked


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"repeats": 3}, (3, 2, 3)),
        ({"repeats": 1}, (1, 2, 1)),
        ({"base_models": 1}, (5, 2, 1)),
        ({"base_models": 2}, (6, 2, 2)),
        ({"base_models": 3, "repeats": 1}, (3, 2, 3)),
        ({"base_models": 2, "mask_only_repeats": 5}, (6, 6, 2)),
        ({"source": {"folds": 3}}, (6, 3, 3)),
        ({"source": {"folds": 3}, "repeats": 3}, (3, 3, 3)),
    ],
    ids=str,
)
def test_base_models_have_equally_many_repeats(asked: dict, found: tuple) -> None:
    spec = Spec.from_mapping({"data": "digits", **asked}).checked()
    assert (spec.repeats, spec.mask_only_repeats, spec.base_models) == found
    assert spec.checked() == spec


def test_folds_share_nothing_but_the_plan() -> None:
    folded = plan(source={"folds": 3}, repeats=3, base_models=3)
    whole = plan(base_models=3, repeats=3, mask_only_repeats=3)
    assert len(folded.prospective_jobs()) == len(whole.prospective_jobs()) + 2  # facts of the data
    alike = {job.cell.key for job in folded.prospective_jobs()} & set(keys(whole).values())
    assert not alike
    of_folds = [job.cell.fields["data"] for job in folded.base_jobs]
    assert [(data["fold"], data["folds"]) for data in of_folds] == [(0, 3), (1, 3), (2, 3)]


def test_seeds_are_shared_by_explainers_protocols_and_fractions() -> None:
    subject = plan(repeats=3)
    seeds = {
        job.kind: tuple(job.cell.fields["seeds"])
        for job in subject.prospective_jobs()
        if "seeds" in job.cell.fields
    }
    ours = subject.seeds(0)
    assert len(set(ours)) == 3
    assert seeds == {
        "roar": ours,
        "kar": ours,
        "retrain-once-model": ours,
        "mask-only": ours[:2],
    }
    # More repeats add to those that are there.
    assert plan(repeats=5).seeds(0)[:3] == ours
    assert not set(plan(seed=1).seeds(0)) & set(ours)


def test_fractions_0_and_1_are_measured_once_for_all() -> None:
    subject = plan(fractions=[0, 0.5, 1])
    assert subject.inner == (0.5,)
    assert {job.fractions for job in subject.end_jobs()} == {ENDS}
    assert keys(subject) == keys(plan())


def test_kar_alone_still_has_the_ends_of_roar() -> None:
    assert [job.kind for job in plan(protocols="kar").end_jobs()] == ["roar"]
    assert plan(protocols="mask-only").end_jobs() == []
    assert plan(protocols="roar").once_jobs() == []


def test_members_of_a_family_are_explained_together() -> None:
    subject = plan(explainers="grad,sg-grad,abs-grad,ig:steps=5", base_models=2)
    families = [(job.base, job.family, job.members) for job in subject.explain_jobs()]
    assert families == [
        (0, "grad", ("grad", "sg-grad", "abs-grad")),
        (1, "grad", ("grad", "sg-grad", "abs-grad")),
        (0, "ig:steps=5", ("ig:steps=5",)),
        (1, "ig:steps=5", ("ig:steps=5",)),
        (0, "random", ("random",)),
        (1, "random", ("random",)),
    ]
    seeds = [job.cell.fields["seed"] for job in subject.explain_jobs()]
    assert len(set(seeds)) == 6


def test_versions_name_everything_that_was_measured_with() -> None:
    subject = plan(explainers="abs-grad")
    assert subject.versions("abs-grad", "roar", "mean") == "roar=1 mean=1 abs-grad=1"
    assert subject.versions(ALL, "roar", "mean") == "roar=1 mean=1"
    assert subject.versions("random", "mask-only", "") == "mask-only=1 random=1"


def test_digests_are_those_that_explanations_report(tmp_path) -> None:
    subject, store = plan(), Store(tmp_path)
    grad, random = subject.explain_jobs()
    store.write(grad.cell, Outcome({"digests": {"grad": "abc"}}))
    found = read_all([grad, random], store)
    assert list(found) == [grad]
    assert digests_of(found) == {(0, "grad"): "abc"}


def test_slots_stand_for_jobs_whose_rankings_are_not_known_yet() -> None:
    subject = plan()
    guessed = {job.slot for job in subject.prospective_jobs() if job.ranking not in {"", ALL}}
    known = {job.slot for job in subject.curve_jobs({(0, "grad"): "x", (0, "random"): "y"})}
    assert guessed == known


def test_of_explanations_no_more_is_read_than_is_asked_for(tmp_path) -> None:
    (first, second), store = plan().explain_jobs(), Store(tmp_path)
    kept, other = np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6)
    store.write(first.cell, Outcome({"kept": [0]}, {f"{KEPT}grad": kept, "function/grad": other}))
    found = read_explained([first, second], store, kept=2)
    assert list(found) == [first]
    arrays = found[first].arrays
    assert arrays[f"{KEPT}grad"].tolist() == [[0, 1], [2, 3]]
    assert arrays[f"{KEPT}grad"].base is None or arrays[f"{KEPT}grad"].base.size == 4
    assert arrays["function/grad"].tolist() == other.tolist()
