"""How well Whisper's transcripts of the demo corpus match the scripts that were spoken.

The goal is for what Whisper base can be held to: English at up to 190 words a minute, over music or
not. eSpeak NG's other languages, and faster speech, are told and not judged.

Run after `make run`: `.venv/bin/python benchmarks/transcripts.py [data/demo]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jiwer
import pandas as pd
from whisper.normalizers import EnglishTextNormalizer

GOAL = 0.15
FASTEST_JUDGED = 190
"""Words per minute."""


COLUMNS = ["video_id", "sound", "script", "language", "words_per_minute"]


def word_errors(data: Path) -> pd.DataFrame:
    """Return script, transcript and word error of each clip, normalised as Whisper's paper does."""
    normalise = EnglishTextNormalizer()
    clips = pd.read_parquet(data / "01_raw" / "demo_clips.parquet")[COLUMNS]
    spoken = pd.read_parquet(data / "04_feature" / "transcripts.parquet")[["video_id", "text"]]
    both = clips.merge(spoken, on="video_id", how="left").fillna({"script": "", "text": ""})
    both["script"] = both["script"].map(normalise)
    both["text"] = both["text"].map(normalise)
    speech = both[both["script"] != ""].copy()
    speech["word_error"] = [
        jiwer.wer(script, text)
        for script, text in zip(speech["script"], speech["text"], strict=True)
    ]
    wordless = both[(both["script"] == "") & (both["text"] != "")]
    print(
        f"clips without speech that were given text: {len(wordless)} of {len(both) - len(speech)}"
    )
    return speech


def main() -> int:
    """Print the mean word error and the worst clips; fail above the goal."""
    everything = word_errors(Path(sys.argv[1] if len(sys.argv) > 1 else "data/demo"))
    for language, part in everything.groupby("language"):
        print(f"{language}: {len(part)} clips, mean word error {part['word_error'].mean():.2%}")
    is_judged = everything["language"].eq("en") & everything["words_per_minute"].le(FASTEST_JUDGED)
    speech = everything[is_judged]
    mean = speech["word_error"].mean()
    whole = jiwer.wer(list(speech["script"]), list(speech["text"]))
    words = speech["script"].str.split().str.len().sum()
    print(
        f"judged, English at up to {FASTEST_JUDGED} words a minute: {len(speech)}, words: {words}"
    )
    print(f"mean word error per clip {mean:.2%}, over all words {whole:.2%} (goal: {GOAL:.0%})")
    print(f"clips transcribed without any error: {(speech['word_error'] == 0).mean():.0%}")
    for row in speech.nlargest(5, "word_error").itertuples():
        print(f"  {row.word_error:.0%}  said: {row.script}\n        heard: {row.text}")
    return int(mean >= GOAL)


if __name__ == "__main__":
    sys.exit(main())
