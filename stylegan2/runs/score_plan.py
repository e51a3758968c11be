"""The plan of `score`: which scores are computed, how long each takes on this machine, and which are left out.

The generator is timed as for a discovery (`stylegan2.runs.plan`); the rest is counting. With t_i seconds for an image,

    judging        as for a discovery, on more clouds and random directions
    factors        t_i for the paths of every direction and of every factor's own, for the noise floor and the oracle
    reconstructor  2 t_i for every pair of an image and its change
    protocol       t_i for the codes that the encoder learns from
    pictures       t_i for every frame of every seed

Nobody asked for the reconstructor in particular unless `--reconstructor` is given, so it is trained by default only
where its pairs take no longer than ten minutes: at 1024 px on a CPU they take hours.
"""

from dataclasses import dataclass

from ganspace_topdis.evaluation.protocol import ProtocolSettings
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings
from ganspace_topdis.evaluation.rescoring import num_rescored_images
from ganspace_topdis.runs.progress import format_duration, plan_table
from stylegan2.runs.plan import Pace, judging_s

__all__ = ["ScoreCounts", "ScorePlan", "plan_scores"]

_RECONSTRUCTOR_S = 600.0
"""The reconstructor is trained by default where it takes no longer."""

_FACTORS = 8
"""The largest number of factors that a packaged network reads, each with a direction of the oracle's."""


@dataclass(frozen=True, kw_only=True)
class ScoreCounts:
    """How much is computed.

    Attributes:
        num_points: of a cloud, the batch size of the search.
        num_clouds, num_random: of the judging.
        num_sets: 2 if the directions before the search are judged too.
        num_codes: images from which paths begin, where factors are known.
        num_oracle_codes: images that the oracle is fitted to; 0 without known factors.
        num_reconstructor_codes: images that the reconstructor is trained and tested on.
        num_images: of the pictures.
    """

    num_points: int
    num_clouds: int
    num_random: int
    num_sets: int
    num_codes: int
    num_oracle_codes: int
    num_reconstructor_codes: int
    num_images: int


@dataclass(frozen=True, kw_only=True)
class ScorePlan:
    """The parts of a scoring, and seconds of each; 0 for what is not done.

    Attributes:
        num_directions: K.
        judging_s, factors_s, reconstructor_s, protocol_s, pictures_s: seconds.
        num_images: of the pictures.
        left_out: whether the reconstructor is left out because it would take too long.
        reconstructor_pairs_s: seconds that it would take.
    """

    num_directions: int
    judging_s: float
    factors_s: float
    reconstructor_s: float
    protocol_s: float
    pictures_s: float
    num_images: int
    left_out: bool
    reconstructor_pairs_s: float

    @property
    def total_s(self) -> float:
        """Seconds of the whole command."""
        return self.judging_s + self.factors_s + self.reconstructor_s + self.protocol_s + self.pictures_s

    def as_text(self) -> str:
        """The plan, a line per part that is done."""
        parts = [
            ("judging", self.judging_s, f"{self.num_directions} directions on new codes"),
            ("factors", self.factors_s, "what each direction changes"),
            ("reconstructor", self.reconstructor_s, "a network learns to tell the directions apart"),
            ("protocol", self.protocol_s, "the encoder's images; its training comes on top"),
            ("pictures", self.pictures_s, f"{self.num_images} images"),
        ]
        shown = [part for part in parts if part[1] > 0]
        shown.append(("all", self.total_s, "judging and pictures resume where they were stopped"))
        table = plan_table("a few images", shown, width=15)
        if not self.left_out:
            return table
        pairs = format_duration(self.reconstructor_pairs_s)
        return f"{table}\nwithout the reconstructor, which would take about {pairs}; --reconstructor trains it"


def plan_scores(
    pace: Pace,
    counts: ScoreCounts,
    num_directions: int,
    *,
    reconstructor: bool | None,
    settings: ReconstructorSettings,
    protocol: ProtocolSettings | None = None,
) -> ScorePlan:
    """The plan of a scoring.

    Args:
        pace: how fast this machine is.
        counts: how much is computed.
        num_directions: K.
        reconstructor: whether it is trained; None: where it does not take too long.
        settings: of its training.
        protocol: of the encoder protocol; None without it.
    """
    held_out = max(1, int(settings.held_out * counts.num_reconstructor_codes))
    pairs = settings.num_steps * settings.batch_size + held_out * num_directions
    pairs_s = 2 * pairs * pace.image_s
    trained = (pairs_s <= _RECONSTRUCTOR_S if reconstructor is None else reconstructor) and num_directions > 1
    paths = sum(num_rescored_images(count, counts.num_codes) for count in (num_directions, _FACTORS))
    readings = counts.num_oracle_codes + paths + 2 * counts.num_codes
    judged_s = judging_s(
        pace,
        counts.num_points,
        num_directions,
        num_sets=counts.num_sets,
        num_clouds=counts.num_clouds,
        num_random=counts.num_random,
    )
    return ScorePlan(
        num_directions=num_directions,
        judging_s=judged_s,
        factors_s=readings * pace.image_s if counts.num_oracle_codes else 0.0,
        reconstructor_s=pairs_s if trained else 0.0,
        protocol_s=protocol.num_steps * protocol.batch_size * pace.image_s if protocol else 0.0,
        pictures_s=counts.num_images * pace.image_s,
        num_images=counts.num_images,
        left_out=reconstructor is None and not trained and num_directions > 1,
        reconstructor_pairs_s=pairs_s,
    )
