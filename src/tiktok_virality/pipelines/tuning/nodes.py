"""Two searches within the training split, and what they found, ready to be used."""

from __future__ import annotations

from typing import Any

from tiktok_virality.models.configs import BoostingConfig, TransformerConfig
from tiktok_virality.schema import DataError
from tiktok_virality.storage import Place
from tiktok_virality.training.corpus import LabelledClips, ModelInput
from tiktok_virality.training.parameters import (
    EnsembleSettings,
    ModelingParameters,
    TrainingParameters,
    TuningParameters,
)


def search_ensemble(
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    fine_tuning: TrainingParameters,
    tuning: TuningParameters,
    seed: int,
    device: str,
    searches: Place,
) -> dict[str, Any]:
    """Search better settings of the late-fusion ensemble; only the training split is read.

    Raises:
        DataError: Nothing is held out, the training split has too few creators, or no trial came to
            its end.
    """
    from tiktok_virality.training.candidates import EnsembleCandidate
    from tiktok_virality.training.tuning import search

    candidate = EnsembleCandidate(
        default=EnsembleSettings(
            transformer=transformer,
            training=training.in_one_process,
            fine_tuning=fine_tuning.in_one_process,
        ),
        space=tuning.ensemble,
        token_sizes=model_input.token_sizes,
        token_parts=model_input.token_parts,
        device=device,
    )
    return search(candidate, _training_clips(model_input), tuning, seed=seed, folder=searches)


def search_boosting(
    model_input: ModelInput, tuning: TuningParameters, seed: int, searches: Place
) -> dict[str, Any]:
    """Search better settings of the gradient boosting; only the training split is read.

    Raises:
        DataError: Nothing is held out, the training split has too few creators, or no trial came to
            its end.
    """
    from tiktok_virality.training.candidates import BoostingCandidate
    from tiktok_virality.training.tuning import search

    candidate = BoostingCandidate(
        default=BoostingConfig(),
        space=tuning.gradient_boosting,
        token_sizes=model_input.token_sizes,
    )
    return search(candidate, _training_clips(model_input), tuning, seed=seed, folder=searches)


def _training_clips(model_input: ModelInput) -> LabelledClips:
    """Return the clips that a search may see.

    Raises:
        DataError: Every clip is tested, so settings that any of them chose would flatter.
    """
    if "test" not in model_input.splits:
        raise DataError(
            "Every clip is tested here (evaluation.scheme), and a search would choose settings by "
            "the clips that they are tested on. Set evaluation.scheme to holdout and run "
            "`kedro run --pipeline ingestion`: then a test split stays locked."
        )
    return model_input.splits["train"]


def set_side_by_side(
    ensemble_search: dict[str, Any], boosting_search: dict[str, Any]
) -> dict[str, Any]:
    """Return the best and the default settings of each model, without the single trials."""
    return {
        search["name"]: {key: value for key, value in search.items() if key != "trials"}
        for search in (ensemble_search, boosting_search)
    }


def write_settings(tuned_parameters: dict[str, Any], modeling: ModelingParameters) -> str:
    """Return the modeling parameters with the ensemble's best settings, as a file of ``conf/``.

    They are written whole, so that the file says all that the search has settled.
    Those of the gradient boosting stand below as comments: no parameter sets them.
    """
    import yaml

    ensemble, boosting = tuned_parameters["ensemble"], tuned_parameters["gradient_boosting"]
    remarks = yaml.safe_dump(boosting["best"]["settings"], sort_keys=False).splitlines()
    whole = {**modeling.model_dump(mode="json"), **ensemble["best"]["settings"]}
    lines = [
        "# To use these: copy this file to conf/local/parameters_modeling.yml.",
        f"# Skill of the ensemble over folds of the training split: {_skills(ensemble)}.",
        yaml.safe_dump({"modeling": whole}, sort_keys=False).rstrip(),
        f"# Skill of the gradient boosting: {_skills(boosting)}, with",
        *(f"#   {line}" for line in remarks),
    ]
    return "\n".join(lines) + "\n"


def _skills(search: dict[str, Any]) -> str:
    best, default = search["best"]["objective"], search["default"]["objective"]
    before = "unknown" if default is None else f"{default:.3f}"
    return f"{best:.3f}, before {before}"
