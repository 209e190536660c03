"""Architectures from the `config.json` of a Hugging Face model, as plain JSON.

Knows the fields and the defaults of the families it names and no others: what it cannot describe
is an error, never a guess. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping

from goodput.errors import UsageError
from goodput.formulas.architecture import Architecture
from goodput.formulas.architecture_families import FAMILIES
from goodput.formulas.architecture_fields import Fields


def from_config(config: Mapping[str, object]) -> Architecture:
    """The architecture that the fields of a `config.json` describe.

    Raises:
        UsageError: the family is not known, or a field is missing or says something that the
            description of its family does not cover.
    """
    family = config.get("model_type")
    if not isinstance(family, str):
        raise UsageError(
            "the config has no model_type, so it is none of a Hugging Face model; add one, such "
            'as "llama"'
        )
    describe = FAMILIES.get(family)
    if describe is None:
        raise UsageError(
            f"the architecture {family} is not known, so no convention can be applied to it; the "
            f"known ones are {', '.join(sorted(FAMILIES))}"
        )
    return describe(Fields(family, config))
