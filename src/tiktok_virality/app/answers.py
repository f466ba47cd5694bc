"""What is said of scored clips, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tiktok_virality.evaluation.conformal import SHOWN_LEVEL
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.pipelines.reporting.wording import count, percent, plural

if TYPE_CHECKING:
    from tiktok_virality.serving.scorer import Answer

ALONE: Final = "alone_"

HALF_WIDTH: Final = NormalDist().inv_cdf((1 + SHOWN_LEVEL) / 2)
"""Of the shown interval, in standard deviations, if errors are about normal."""

MOMENTS_TOLD: Final = 3
WORDS_TOLD: Final = 5

NO_PROMISE: Final = "This says where clips like it landed, and promises nothing."


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two clips beside each other.

    Attributes:
        better: Which is likelier to be watched more.
        other: The other one.
        probability: How likely that is, 0.5 to 1; ``None`` without intervals.
        factor: How many times as many views it is expected to have.
        by_modality: The same factor as each modality alone has it, where both clips have it.
    """

    better: str
    other: str
    probability: float | None
    factor: float
    by_modality: dict[str, float]


def tell(answer: Answer, corpus: Mapping[str, Any]) -> str:
    """Return the answer for people."""
    blocks = [
        "\n".join([*_lines(row), *_reasons(answer.explanations.get(row["video_id"], {}))])
        for row in answer.scores.to_dict("records")
    ]
    return "\n\n".join([*blocks, speaks_of(corpus)])


def as_json(
    answer: Answer,
    corpus: Mapping[str, Any],
    compared: Compared | None = None,
) -> str:
    """Return all that is known, for machines; of two clips that were compared, that first."""
    told = {
        **({} if compared is None else {"comparison": json_ready(asdict(compared))}),
        "clips": json_ready(answer.scores.to_dict("records")),
        "unscored": json_ready(answer.unscored.to_dict("records")),
        **({"explanations": json_ready(answer.explanations)} if answer.explanations else {}),
        "corpus": dict(corpus),
    }
    return json.dumps(told, ensure_ascii=False, indent=1)


def complaints(unscored: pd.DataFrame) -> list[str]:
    """Return why clips were not scored, a line each."""
    return [
        f"{row.video_id} is not scored: {row.reason}: {row.detail}" for row in unscored.itertuples()
    ]


def compare(scores: pd.DataFrame) -> Compared:
    """Say which of two clips is likelier to be watched more.

    Each clip lies about its prediction as errors on tested clips did: normally, with the deviation
    that its interval gives, and independently of the other clip.

    Args:
        scores: Two rows of `score_clips`.
    """
    first, second = scores.sort_values("prediction", ascending=False).to_dict("records")
    gap = first["prediction"] - second["prediction"]
    spreads = [(row["upper"] - row["lower"]) / 2 / HALF_WIDTH for row in (first, second)]
    spread = sum(each**2 for each in spreads) ** 0.5
    return Compared(
        better=first["video_id"],
        other=second["video_id"],
        probability=NormalDist().cdf(gap / spread) if spread > 0 else None,
        factor=_ratio(first["expected"], second["expected"]),
        by_modality={
            name.removeprefix(ALONE): _ratio(first[name], second[name])
            for name in scores.columns
            if name.startswith(ALONE) and scores[name].notna().all()
        },
    )


def tell_comparison(compared: Compared, answer: Answer, corpus: Mapping[str, Any]) -> str:
    """Return the comparison for people."""
    sure = (
        "how sure that is, nobody can say: too few clips calibrated it"
        if compared.probability is None
        else f"in {percent(compared.probability)} of such pairs"
    )
    lines = [
        f"{compared.better} is likelier to be watched more than {compared.other}: {sure}.",
        f"  expected  {compared.factor:.1f} times as many views",
    ]
    apart = sorted(compared.by_modality.items(), key=lambda each: -abs(log(each[1])))
    for name, factor in apart:
        lines.append(f"  {_words(name)} alone: {factor:.1f} times")
    return "\n".join([*lines, "", tell(answer, corpus)])


def _lines(row: Mapping[Any, Any]) -> Iterator[str]:
    yield str(row["video_id"])
    ends = (
        "no interval: too few clips calibrated it"
        if pd.isna(row["low"])
        else f"{percent(SHOWN_LEVEL)} of such clips: {count(row['low'])} to {count(row['high'])}"
    )
    yield f"  expected    {count(row['expected'])} ({ends})"
    yield f"  percentile  {row['percentile']:.0f} of 100 clips of the corpus have fewer"
    if row["unlike"]:
        yield "  unlike      it is unlike the training clips: believe the answer less"
    alone = [
        f"{_words(name.removeprefix(ALONE))} {count(value)}"
        for name, value in row.items()
        if name.startswith(ALONE) and not pd.isna(value)
    ]
    yield f"  alone       {'; '.join(alone)}"
    for name in ("transcript", "screen"):
        if isinstance(row.get(name), str):
            yield f"  {name:<11} {' / '.join(row[name].split(chr(10)))}"


def _reasons(why: Mapping[str, Any]) -> Iterator[str]:
    """Say what moves an answer: modalities, the moments and words that do most, clips alike."""
    if not why:
        return
    parts = [
        f"{_words(part['modality'])} {_as_times(part)}"
        for part in _most(why["modalities"], len(why["modalities"]))
    ]
    yield f"  parts       {'; '.join(parts)}"
    for moment in _most(why["moments"], MOMENTS_TOLD):
        when = f"{moment['start_seconds']:.0f} to {moment['end_seconds']:.0f} s"
        said = " / ".join(text for texts in moment["words"].values() for text in texts)
        yield f"  second      {when} {_as_times(moment)}{f': {said}' if said else ''}"
    words = [f"{part['word']} {_as_times(part)}" for part in _most(why["words"], WORDS_TOLD)]
    if words:
        yield f"  words       {'; '.join(words)}"
    for clip in why["alike"]:
        yield f"  alike       {clip['video_id']} ({count(clip['truth'])})"


def _most(parts: Sequence[Mapping[str, Any]], number: int) -> list[Mapping[str, Any]]:
    """Return the parts that move the answer most, those that lift it before those that lower it."""
    strongest = sorted(parts, key=lambda part: -abs(part["effect"]))[:number]
    return sorted(strongest, key=lambda part: -part["effect"])


def _as_times(part: Mapping[str, Any]) -> str:
    """Say what a part does: how many times as many views as without it, or its effect itself."""
    return f"{part['effect']:+.2f}" if part["times"] is None else f"x{part['times']:.2f}"


def speaks_of(corpus: Mapping[str, Any]) -> str:
    """Say from what the models have learned, and that nothing is promised."""
    kind = "synthetic clips" if corpus["synthetic"] else "clips"
    made_up = " Nothing of it is about real videos." if corpus["synthetic"] else ""
    creators = plural(corpus["creators"], "creator")
    said = f"Learned from {corpus['clips']} {kind} by {creators}.{made_up}"
    if corpus["skill"] is not None:
        interval = (
            ""
            if corpus["skill_low"] is None
            else f" ({percent(corpus['skill_low'])} to {percent(corpus['skill_high'])})"
        )
        said += (
            f" On clips that it had not seen it does away with {percent(corpus['skill'])}{interval}"
            " of the error of always saying the median."
        )
    return f"{said}\n{NO_PROMISE}"


def _words(modality: str) -> str:
    return MODALITIES[modality].words if modality in MODALITIES else modality


def _ratio(first: float, second: float) -> float:
    return (1 + first) / (1 + second)
