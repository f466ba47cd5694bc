"""What of a pipeline a shard does, what waits, and what is left to a run of everything."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.sharding import part_for_shards

STAGES = {"probes", "frames", "waveforms", "states", "trainings"}


def step(name: str, inputs: list[str], output: str, *tags: str):
    return node(lambda *values: values, inputs=inputs, outputs=output, name=name, tags=tags)


def corpus() -> Pipeline:
    seen = [
        step("match", ["files"], "posts"),
        step("count", ["posts"], "counts"),
        step("probe", ["posts"], "probes"),
        step("decode", ["probes"], "frames"),
        step("list", ["posts", "probes"], "manifest"),
    ]
    heard = [step("hear", ["manifest"], "waveforms"), step("listen", ["waveforms"], "states")]
    learned = [
        step("train", ["states"], "trainings", "training"),
        step("report", ["trainings"], "report"),
    ]
    return sum(
        (
            pipeline(nodes, namespace=name, prefix_datasets_with_namespace=False)
            for name, nodes in (("seen", seen), ("heard", heard), ("learned", learned))
        ),
        Pipeline([]),
    )


def names(part) -> list[str]:
    return [each.short_name for each in part.pipeline.nodes]


def test_a_shard_does_the_stages_and_only_the_tables_that_they_are_planned_from():
    part = part_for_shards(corpus(), STAGES.__contains__, lambda name: False)
    assert names(part) == ["match", "probe", "decode"]
    assert part.stages == ("probes", "frames")


def test_what_needs_the_whole_corpus_is_named_by_its_room_or_by_node():
    part = part_for_shards(corpus(), STAGES.__contains__, lambda name: False)
    assert part.whole == ("seen (list)", "learned")


def test_stages_behind_it_wait_until_a_whole_run_has_made_it():
    part = part_for_shards(corpus(), STAGES.__contains__, lambda name: False)
    assert part.waiting == {"manifest": ("waveforms", "states")}
    assert "For waveforms, states, run the shards again after" in part.describe()
    after = part_for_shards(corpus(), STAGES.__contains__, {"manifest"}.__contains__)
    assert set(names(after)) == {"match", "probe", "decode", "hear", "listen"}
    assert after.waiting == {}


def test_a_stage_that_learns_from_all_is_never_done_in_shards():
    there = {"manifest", "trainings", "report"}
    part = part_for_shards(corpus(), STAGES.__contains__, there.__contains__)
    assert "train" not in names(part)


def test_tables_alone_leave_a_shard_nothing_to_do():
    tables = Pipeline([step("match", ["files"], "posts"), step("count", ["posts"], "counts")])
    part = part_for_shards(tables, STAGES.__contains__, lambda name: True)
    assert part.pipeline.nodes == []
    assert "nothing to do" in part.describe()
