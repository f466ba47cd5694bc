"""What the published models may be told. Reading it loads no torch."""

from __future__ import annotations

from tiktok_virality.schema import Config


class PublishedFaults(Config):
    """What the authors' code does and should not, to see what each is worth.

    Attributes:
        scaler_on_held_out: Standardise the target of the published models by mean and deviation of
            the held-out clips: the test split, or the validation split where nothing is held out.
        swapped_states: Give every ConvLSTM cell its memory as the hidden state and its hidden state
            as the memory, and hand the memory on. Our visual tokens come from the same autoencoder.
        channels_as_tokens: Let the visual Transformer read the channels of the clip's last state,
            each with all its pixels, instead of moments: the state at each frame, averaged over
            the grid of `visual.embedding`. The published architecture is this one.
    """

    scaler_on_held_out: bool = False
    swapped_states: bool = False
    channels_as_tokens: bool = False


class PublishedParameters(Config):
    """The published models.

    Attributes:
        enabled: Whether they are trained, and the states made that they read.
        faults: Of the authors' code.
    """

    enabled: bool = False
    faults: PublishedFaults = PublishedFaults()
