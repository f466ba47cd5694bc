"""What is said: a few themes in a few languages, each with plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

Sentences = Mapping[str, tuple[str, ...]]

THEMES: Final[Sentences] = {
    "kitchen": (
        "Taste the sauce and add salt.",
        "Add tomatoes and a little garlic.",
        "Serve the fish with butter.",
        "Cut the potatoes into pieces.",
        "Melt the butter in a warm pan.",
    ),
    "space": (
        "A rocket is flying to Mars.",
        "The spaceship landed on the moon.",
        "The stars are far from Earth.",
        "The rocket landed on the planet.",
    ),
    "animals": (
        "My puppy chased the cat.",
        "Two cats sleep on the sofa.",
        "Monkeys live in the jungle.",
        "The elephant is drinking water.",
        "The dog plays in the garden.",
    ),
    "fitness": (
        "Lift your knees and keep running.",
        "Jump higher and move your feet.",
        "Rest your shoulders and breathe.",
        "Stretch your arms and your back.",
        "Keep your back straight and push.",
    ),
    "mystery": (
        "The police found a secret room.",
        "A stranger waited in the dark.",
        "The old house was never empty.",
        "In the morning the gold was gone.",
    ),
}
"""Themes and their sentences in English; each fits into the shortest clip at the slowest speed."""

SENTENCES: Final[Mapping[str, Sentences]] = {
    "en": THEMES,
    "es": {
        "kitchen": (
            "Corta el tomate y el ajo.",
            "La sopa necesita más sal.",
            "Sirve el pescado con limón.",
            "Pon la mantequilla en la sartén.",
        ),
        "space": (
            "El cohete vuela hacia Marte.",
            "La nave llegó a la luna.",
            "Las estrellas están muy lejos.",
            "El planeta tiene dos lunas.",
        ),
        "animals": (
            "El perro juega en el jardín.",
            "Dos gatos duermen en el sofá.",
            "El elefante bebe agua.",
            "El mono sube a los árboles.",
        ),
        "fitness": (
            "Levanta las rodillas y corre.",
            "Salta y mueve los pies.",
            "Estira los brazos y respira.",
            "Mantén la espalda recta.",
        ),
        "mystery": (
            "La policía halló un cuarto.",
            "Un extraño esperaba en la noche.",
            "La casa vieja estaba vacía.",
            "El tesoro había desaparecido.",
        ),
    },
    "de": {
        "kitchen": (
            "Schneide Tomaten und Knoblauch.",
            "Die Suppe braucht mehr Salz.",
            "Den Fisch mit Butter braten.",
            "Koche die Nudeln in der Pfanne.",
        ),
        "space": (
            "Die Rakete fliegt zum Mars.",
            "Sie landeten auf dem Mond.",
            "Die Sterne sind sehr weit weg.",
            "Der Planet hat zwei Monde.",
        ),
        "animals": (
            "Der Hund spielt im Garten.",
            "Zwei Katzen schlafen im Haus.",
            "Der Elefant trinkt Wasser.",
            "Der Affe klettert auf den Baum.",
        ),
        "fitness": (
            "Heb die Knie und lauf weiter.",
            "Spring und beweg die Beine.",
            "Streck die Arme und atme.",
            "Halt den Rücken gerade.",
        ),
        "mystery": (
            "Die Polizei fand einen Raum.",
            "Ein Fremder stand im Dunkeln.",
            "Das alte Haus war nie leer.",
            "Am Morgen war der Schatz weg.",
        ),
    },
    "fr": {
        "kitchen": (
            "Coupe la tomate et l'ail.",
            "Ajoute du sel dans la soupe.",
            "Le poisson cuit dans le beurre.",
            "Mets le beurre dans la poêle.",
        ),
        "space": (
            "La fusée vole vers Mars.",
            "Ils ont marché sur la lune.",
            "Les étoiles sont très loin.",
            "La planète a deux lunes.",
        ),
        "animals": (
            "Le chien joue dans le jardin.",
            "Deux chats dorment au soleil.",
            "L'éléphant boit de l'eau.",
            "Le singe grimpe dans l'arbre.",
        ),
        "fitness": (
            "Lève les genoux et cours.",
            "Saute et bouge les pieds.",
            "Tends les bras et respire.",
            "Garde le dos bien droit.",
        ),
        "mystery": (
            "La police a trouvé une clé.",
            "Un inconnu attendait la nuit.",
            "La maison n'était pas vide.",
            "Le trésor avait disparu.",
        ),
    },
}
"""Languages, their themes and sentences."""

SECONDS_TIMES_RATE_PER_CHARACTER: Final = 12.8
"""A character takes at most this divided by the words per minute: measured over all
voices, of speech that is cut in halves."""
PAUSE_SECONDS_TIMES_RATE: Final = 70.0
"""The same of the pause between two sentences."""


def compose_script(
    theme: str,
    *,
    language: str = "en",
    words_per_minute: int,
    seconds: float,
    rng: np.random.Generator,
) -> str:
    """Return sentences of a theme in random order, as many as can be said in the time.

    Args:
        theme: A key of `THEMES`.
        language: A key of `SENTENCES`.
        words_per_minute: How fast it will be said.
        seconds: How long it may take at most.
        rng: Decides the order.
    """
    sentences = SENTENCES[language][theme]
    pause = PAUSE_SECONDS_TIMES_RATE / words_per_minute
    chosen: list[str] = []
    taken = 0.0
    for index in rng.permutation(len(sentences)):
        taken += longest_seconds(sentences[index], words_per_minute)
        if taken > seconds:
            break
        chosen.append(sentences[index])
        taken += pause
    return " ".join(chosen)


def longest_seconds(sentence: str, words_per_minute: int) -> float:
    """Return an upper bound of the time that a sentence takes."""
    return len(sentence) * SECONDS_TIMES_RATE_PER_CHARACTER / words_per_minute
