"""The ranks of one job: their places and their files."""

from __future__ import annotations

import pytest

from goodput.recording import ranks
from goodput.recording.ranks import Place


def test_a_place_without_a_launcher():
    place = ranks.here({})
    assert place == Place()
    assert place.reports
    assert not place.is_distributed


def test_the_place_that_torchrun_tells():
    variables = {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "abc",
        "MASTER_PORT": "29500",
    }
    place = ranks.here(variables)
    assert (place.rank, place.world_size) == (3, 4)
    assert (place.local_rank, place.local_world_size) == (1, 2)
    assert place.job.startswith("abc-29500-0-")
    assert not place.reports
    assert ranks.here({"WORLD_SIZE": "1", "RANK": "0"}) == Place()


def test_one_file_a_rank(tmp_path):
    path = tmp_path / "train.goodput"
    assert ranks.path_of_rank(path, Place()) == path
    assert ranks.path_of_rank(path, Place(1, 2, 1, 2, "job")).name == "train.rank1.goodput"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([3], "rank 3"),
        ([1, 2], "ranks 1 to 2"),
        ([1, 4, 5, 6, 9], "ranks 1, 4 to 6, 9"),
        ([1, 3], "ranks 1, 3"),
    ],
)
def test_ranks_in_words(numbers, words):
    assert ranks.named(numbers) == words
