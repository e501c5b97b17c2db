"""Train the small CLIP and write it in transformers' layout with its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer

from mimicbrush.errors import UserError
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.hub.library_messages import quiet_libraries
from mimicbrush.hub.local_networks import AbsentWeightsError, find_folder, load_weights
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.seeds import seed_of
from mimicbrush.training.muon import MuonAdamW
from mimicbrush.training.step_loop import train_steps
from mimicbrush.world.clip.captioned_renders import ATTRIBUTES, Captioned, render_captioned
from mimicbrush.world.clip.clip_measures import NUM_BLOCKS, measure
from mimicbrush.world.clip.clip_network import build_clip, build_processor, build_tokenizer
from mimicbrush.world.clip.config import ClipTrainingConfig
from mimicbrush.world.sets.splits import HELD_OUT, TRAINING, Combination
from mimicbrush.world.sets.vocabulary import WORDS

STATE, CARD = "state.pt", "card.json"
MAX_LOGIT_SCALE = 100.0
"""Largest factor of the cosines (CLIP, section 2.5)."""
MAX_ANGLE, MAX_SHIFT = 15.0, 0.2
"""Largest turn of a training picture in degrees, and its largest shift, as a share of half a side."""
MIN_SHARE = 0.6
"""Smallest share of a training picture's side that is enlarged to the whole side."""
MAX_NOISE = 0.15
"""Largest standard deviation of the noise that is added to a training picture."""
STEP = 1.25
"""Length of the gradient step of `raise_loss`, as a share of the radius."""


class Embedded(NamedTuple):
    """A batch of pictures and texts in the space of the embeddings; every vector has length 1."""

    pictures: Tensor
    """(B, D)"""
    texts: Tensor
    """(B, D)"""
    patches: Tensor
    """(B, num_patches, D)"""
    attention: Tensor
    """(B, NUM_BLOCKS, num_patches): attention of the class token in the last blocks, mean of the heads."""


class TrainedClip(nn.Module):
    """CLIP with heads that serve its training alone: embeddings predict the attributes that captions name.

    The heads are shared by pictures, their patches and texts, which teaches both encoders to keep the attributes apart.
    """

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        channels = clip.config.projection_dim
        self.heads = nn.ModuleList(nn.Linear(channels, len(names)) for names in ATTRIBUTES.values())

    def forward(self, pixels: Tensor, tokens: dict[str, Tensor]) -> Embedded:
        """Embed pictures (B, 3, H, W), preprocessed, with their patches, and texts."""
        vision = self.clip.vision_model
        output = vision(pixels, output_attentions=True)
        seen = F.normalize(self.clip.visual_projection(vision.post_layernorm(output.last_hidden_state)).float(), dim=2)
        texts = self.clip.get_text_features(**tokens).pooler_output
        attention = torch.stack([each.float().mean(dim=1)[:, 0, 1:] for each in output.attentions[-NUM_BLOCKS:]], dim=1)
        return Embedded(seen[:, 0], F.normalize(texts.float(), dim=1), seen[:, 1:], attention)


def train_clip(config: ClipTrainingConfig) -> str:
    """Render, train, measure on held-out combinations, and write the network with its card."""
    with held(config.output):
        refuse_other_run(config.output, config)
        tokenizer = build_tokenizer(WORDS)
        torch.manual_seed(config.seed)
        trained = TrainedClip(first_network(config, tokenizer))
        # Only now, so that weights that do not fit can be replaced by others in the same folder.
        claim(config.output, config)
        renders, arguments = config.output / "renders", {"size": config.image_size, "seed": config.seed}
        training = render_captioned(renders, config.num_samples, purpose="clip", combinations=TRAINING, **arguments)
        phrases = choose_phrases(config)
        heldout = render_captioned(
            renders, config.num_heldout, purpose="clip judged", combinations=phrases, **arguments
        )
        seconds = train_steps(
            trained,
            lambda step: _step_loss(trained, tokenizer, training, step, config),
            num_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            state=config.output / STATE,
            save_every=config.checkpoint_every,
            optimizer_class=MuonAdamW,
        )
        with quiet_libraries():
            # A tokenizer that was used keeps its padding, which files of CLIP do not have.
            for part in (trained.clip.half(), build_tokenizer(WORDS), build_processor(config)):
                part.save_pretrained(config.output)
        figures = measure(config.output, heldout, phrases=phrases)
        write_json({"cpu_seconds_of_training": round(seconds), **figures}, config.output / CARD)
    first, auc = figures["right_phrase_first"]["mean"], figures["relevancy_auc"]["mean"]
    return f"held-out combinations: right phrase first {first:.1%}, relevancy AUC {auc:.3f}; CLIP -> {config.output}"


def first_network(config: ClipTrainingConfig, tokenizer: CLIPTokenizer) -> CLIPModel:
    """Draw random weights, or load those of an earlier run, which must have the same sizes."""
    clip = build_clip(config, tokenizer)
    if config.start is None:
        return clip
    try:
        folder = find_folder(str(config.start), "clip")
    except AbsentWeightsError as error:
        raise UserError(f"start: {error}") from None
    earlier = load_weights(CLIPModel, folder).state_dict()
    if {name: each.shape for name, each in earlier.items()} != {
        name: each.shape for name, each in clip.state_dict().items()
    }:
        raise UserError(f"start: {config.start} holds a CLIP of other sizes; give both runs the same")
    clip.load_state_dict(earlier)
    return clip


def choose_phrases(config: ClipTrainingConfig) -> list[Combination]:
    """Draw the held-out combinations whose phrases compete; all of their words occur in training."""
    generator = np.random.default_rng(seed_of(config.seed, "clip phrases"))
    chosen = generator.permutation(len(HELD_OUT))[: config.num_phrases]
    return [HELD_OUT[number] for number in chosen]


class _CaptionedBatch(NamedTuple):
    """Captioned pictures of a step."""

    pixels: Tensor
    """(B, 3, H, W) in [0, 1], augmented."""
    coverage: Tensor
    """(B, num_patches), the share of each patch that the object covers."""
    attributes: Tensor
    """(B, 3), numbers of the classes of `ATTRIBUTES`."""
    tokens: dict[str, Tensor]


def _step_loss(
    trained: TrainedClip, tokenizer: CLIPTokenizer, samples: Captioned, step: int, config: ClipTrainingConfig
) -> Tensor:
    """Compute the loss of a step on pictures that were changed to raise it; the batch follows from seed and step."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "clip step", step))
    chosen = torch.randint(len(samples.pixels), (config.batch_size,), generator=generator)
    pixels, masks = augment(samples.pixels[chosen].float() / 255, samples.masks[chosen, None].float(), generator)
    captions = [samples.captions[number] for number in chosen]
    tokens = dict(tokenizer(captions, padding=True, return_tensors="pt"))
    coverage = F.avg_pool2d(masks, config.patch_size).flatten(1)
    batch = _CaptionedBatch(pixels, coverage, samples.attributes[chosen], tokens)

    def loss_on(changed: Tensor) -> Tensor:
        return _loss(trained, batch._replace(pixels=changed), config)

    if config.adversarial_radius:
        radii = config.adversarial_radius * torch.rand(len(chosen), generator=generator)
        batch = batch._replace(pixels=raise_loss(loss_on, pixels, radii, generator))
    return _loss(trained, batch, config)


def _loss(trained: TrainedClip, batch: _CaptionedBatch, config: ClipTrainingConfig) -> Tensor:
    """Add up the contrastive loss of CLIP and the losses of attributes and attention."""
    attributes = batch.attributes
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        embedded = trained(normalise(batch.pixels, config), batch.tokens)
    scale = trained.clip.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)
    logits, pairs = scale * embedded.pictures @ embedded.texts.T, torch.arange(len(attributes))
    contrastive = (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    picture_of_patch, patch = (batch.coverage > 0.5).nonzero(as_tuple=True)
    named = (
        (embedded.pictures, attributes),
        (embedded.texts, attributes),
        (embedded.patches[picture_of_patch, patch], attributes[picture_of_patch]),
    )
    # Embeddings have length 1; the same factor makes confident predictions possible.
    predicted = [
        F.cross_entropy(head(scale * embeddings), labels[:, column])
        for embeddings, labels in named
        for column, head in enumerate(trained.heads)
    ]
    return (
        contrastive
        + config.attribute_weight * sum(predicted) / len(trained.heads)
        + config.attention_weight * attention_loss(embedded.attention, batch.coverage)
    )


def raise_loss(
    loss_on: Callable[[Tensor], Tensor], pixels: Tensor, radii: Tensor, generator: torch.Generator
) -> Tensor:
    """Change pictures by one gradient step from a random start, so that their loss rises.

    Adversarial training (Madry et al. 2018), in one step. Gradients of a network trained on such pictures resemble what
    it names (Santurkar et al. 2019), which Text2LIVE needs.
    pixels: (B, 3, H, W) in [0, 1], like the result; radii: (B,), the largest L2 norm of each picture's change.
    """
    radii = radii[:, None, None, None]
    start = radii * torch.rand(len(pixels), 1, 1, 1, generator=generator)
    change = (start * unit(torch.randn(pixels.shape, generator=generator))).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_on(pixels + change), change)
    change = change.detach() + STEP * radii * unit(gradient)
    longest = change.flatten(1).norm(dim=1)[:, None, None, None]
    return (pixels + change * (radii / longest.clamp(min=1e-12)).clamp(max=1)).clamp(0, 1)


def unit(pictures: Tensor) -> Tensor:
    """Scale each picture (B, C, H, W) to an L2 norm of 1; zeros stay zeros."""
    return F.normalize(pictures.flatten(1), dim=1).view_as(pictures)


def attention_loss(attention: Tensor, coverage: Tensor) -> Tensor:
    """Cross-entropy from attention that is equal all over the object, mean of blocks and pictures that show an object.

    attention: (B, num_blocks, num_patches); coverage: (B, num_patches), the share of each patch that the object covers.
    """
    covered = coverage.sum(dim=1)
    target = (coverage / covered.clamp(min=1e-6)[:, None])[:, None]
    log_shares = (attention / attention.sum(dim=2, keepdim=True)).clamp(min=1e-6).log()
    return -(target * log_shares).sum(dim=2)[covered > 0].mean()


def augment(pixels: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, enlarge and turn pictures as Text2LIVE's mild views do, change their brightness a little, and add noise.

    With noise, the gradients by which the network guides edits are closer to visible patterns.
    pixels: (B, 3, H, W) in [0, 1]; masks: (B, 1, H, W), which move with their pictures. Turned pictures are white
    outside, masks zero.
    """

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(pixels), 1, 1, generator=generator)

    y, x = (each[None] for each in _pixel_centres(pixels.shape[-2:]))
    is_turned, is_enlarged, is_mirrored = draw(0, 1) < 0.5, draw(0, 1) < 0.5, draw(0, 1) < 0.5
    angle = torch.where(is_turned, draw(-MAX_ANGLE, MAX_ANGLE), 0).deg2rad()
    shift_x, shift_y = (torch.where(is_turned, draw(-MAX_SHIFT, MAX_SHIFT), 0) for _ in range(2))
    share = torch.where(is_enlarged, draw(MIN_SHARE, 1), 1)
    turned_x = angle.cos() * x + angle.sin() * y - shift_x
    turned_y = angle.cos() * y - angle.sin() * x - shift_y
    inside = ((turned_x.abs() <= 1) & (turned_y.abs() <= 1)).float()[:, None]
    centre_x, centre_y = ((1 - share) * draw(-1, 1) for _ in range(2))
    grid = torch.stack(
        [torch.where(is_mirrored, -1, 1) * share * turned_x + centre_x, share * turned_y + centre_y], dim=-1
    )
    moved = F.grid_sample(torch.cat([pixels, masks], dim=1), grid, padding_mode="border", align_corners=False)
    pixels, masks = moved[:, :3] * inside + (1 - inside), moved[:, 3:] * inside
    brightness = draw(0.92, 1.08)[..., None]
    noise = draw(0, MAX_NOISE)[..., None] * torch.randn(pixels.shape, generator=generator)
    return (pixels * brightness + noise).clamp(0, 1), masks


def _pixel_centres(size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Coordinates (H, W) of pixels' centres, downwards and to the right; the picture reaches from -1 to 1."""
    sides = [(2 * torch.arange(side) + 1) / side - 1 for side in size]
    return torch.meshgrid(*sides, indexing="ij")


def normalise(pixels: Tensor, config: ClipTrainingConfig) -> Tensor:
    """Normalise pixels in [0, 1] as CLIP's preprocessing does."""
    processor = build_processor(config)
    mean, deviation = (torch.tensor(each).reshape(3, 1, 1) for each in (processor.image_mean, processor.image_std))
    return (pixels - mean) / deviation
