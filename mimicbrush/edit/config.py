"""Options that the subcommands of `python -m mimicbrush.edit` share, and what results follow from them."""

# Annotations are not postponed here, as in an editor's settings.py: jsonargparse would not find their names.
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, get_args, get_origin

from mimicbrush.edit.clip_config import CONTAINERS, FOLDERS_OF_CLIPS
from mimicbrush.errors import Faults
from mimicbrush.requests import EditRequest

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs
    from mimicbrush.requests import Edited, Editor

PROGRAM = "python -m mimicbrush.edit"


@dataclass(frozen=True, kw_only=True)
class EditConfig(ABC):
    """Picture, results and editor of an edit."""

    source: Path | None = None
    """The picture to edit."""
    output: Path | None = None
    """PNG file to write, with 16 bits if the source is a 16-bit PNG, or a clip if the source is one. With num_images,
    -1, -2, ... is added before the suffix; a layer of the result is written beside it, with its name before the
    suffix."""
    batch: Path | None = None
    """CSV with one edit in each row, instead of the options that describe one: a column for each of them, and
    optionally for seed and others; paths are relative to the CSV. Rows whose output exists are left out, so the same
    command resumes. Rows with faults are named and skipped; the exit status is then 2."""
    replay: Path | None = None
    """Repeat an edit: a PNG or clip written by this command, whose recorded settings, weights included, are used for
    all options that are not given; usually only output is."""
    editor: str | None = None
    """Class path of the editor to use instead of the default, for instance my_package.MyEditor."""
    init_args: dict = field(default_factory=dict)
    """Arguments of the editor's class, for instance '{radius: 3}'."""
    num_images: int = 1
    """Number of results, made with seeds seed, seed + 1, ..."""
    seed: int = 0
    """Seed of the noise, 0 or more."""
    grid: bool = False
    """Also write a contact sheet, with -grid before the suffix: the pictures given, and each result with its seed."""
    max_megapixels: float | None = None
    """Edit a picture of more megapixels in this size, and put what changed back into the full-size picture, whose other
    pixels stay; layers have the size of the edit. null: edit every picture in its own size."""
    force: bool = False
    """Overwrite existing files."""

    kind: ClassVar[str]
    """Name of the subcommand; results record it."""
    request_class: ClassVar[type[EditRequest]]
    """The kind of request that the editor has to answer."""
    needed: ClassVar[tuple[str, ...]]
    """Options that describe an edit; a batch has a column for each."""
    optional: ClassVar[tuple[str, ...]] = ("seed",)
    """Further columns that a batch may have."""
    examples: ClassVar[tuple[str, ...]]
    """Command lines at the beginning of the subcommand's help; the first one also opens that of all subcommands."""
    ordinary: ClassVar[tuple[str, ...]]
    """Options that most people need; the help shows them first."""
    weights_option: ClassVar[str] = "weights"
    """Option that names the weights which the default editor loads."""
    after_stop: ClassVar[str] = "run the same command again; a batch then makes only what is missing"
    """Advice when the command is stopped."""
    keeps_stopped: ClassVar[bool] = False
    """Whether an edit that is stopped keeps its result as it is by then; `stopped_at` describes such a result."""

    def __post_init__(self) -> None:
        faults = Faults()
        missing = [name for name in self.needed if getattr(self, name) is None]
        faults.check(
            self.batch is not None or not missing,
            f"{', '.join(missing)} not given; name {'it' if len(missing) == 1 else 'them'}, or a CSV of edits as batch",
        )
        faults.check(
            self.batch is None or len(missing) == len(self.needed),
            f"batch names {', '.join(f'{name}s' for name in self.needed[:-1])} and outputs; remove these options",
        )
        suffixes = CONTAINERS if self.is_clip else (".png",)
        if self.output is not None and (suffix := self.output.suffix.lower()) not in suffixes:
            hint = "; for a clip, give its atlas" if suffix in CONTAINERS and hasattr(self, "atlas") else ""
            faults.add(f"output is {self.output}, expected a name ending in {', '.join(suffixes)}{hint}")
        faults.check(not (self.grid and self.is_clip), "grid shows edits of pictures; leave it out for a clip")
        faults.check(
            self.max_megapixels is None or (self.max_megapixels > 0 and not self.is_clip),
            f"max_megapixels is {self.max_megapixels}, expected more than 0, and a picture as source",
        )
        faults.check(self.num_images >= 1, f"num_images is {self.num_images}, expected at least 1")
        last_seed = 2**63 - max(1, self.num_images)
        faults.check(
            0 <= self.seed <= last_seed, f"seed is {self.seed}, expected 0 to 2^63 - {max(1, self.num_images)}"
        )
        if self.batch is None and not missing:
            self._check_outputs(faults)
        faults.refuse()

    def _check_outputs(self, faults: Faults) -> None:
        written = {path.resolve() for path in self.written}
        folders = {path.parent for path in written}
        for option, paths in self.pictures.items():
            twice = next((path for path in paths if path and path.resolve() in written), None)
            faults.check(twice is None, f"output would overwrite {option} {twice}; choose another output")
            within = next((path for path in paths if path and path.resolve() in folders), None)
            may_be_folder = self.is_clip and option in FOLDERS_OF_CLIPS
            faults.check(
                within is None or not may_be_folder,
                f"output lies in the folder {option} {within}; choose one outside it",
            )

    def why_kept(self, path: Path) -> str | None:
        """Why the file at the path of a layer is not overwritten; None if the layer may be written."""
        if path.resolve() in {given.resolve() for paths in self.pictures.values() for given in paths if given}:
            return "was given to the edit and is kept; the layer is not written"
        return "exists and is kept; --force overwrites it" if path.exists() and not self.force else None

    @abstractmethod
    def request(self, inputs: "Inputs", canvas_size: int) -> EditRequest:
        """The request that these options describe.

        inputs: its pictures; canvas_size: pixels a side of the editor's canvas, the size of references side by side.
        """

    def finish(self, edited: "Edited", request: EditRequest) -> "Edited":
        """The result to write, from the editor's answer to the request."""
        return edited

    def adapt(self, editor: "Editor") -> "Editor":
        """The editor that answers the request, made of the loaded one."""
        return editor

    def stopped_at(self, step: int) -> Self:
        """Describe the result of an edit that was stopped after a step, so that a replay gives it again."""
        raise NotImplementedError(f"{type(self).__name__} keeps no edits that are stopped")

    @property
    def preset_values(self) -> dict[str, object]:
        """Values of options that follow from another option, unless they are given themselves."""
        return {}

    @property
    def is_clip(self) -> bool:
        """Whether a clip is edited, and not a picture."""
        return False

    @property
    def editor_spec(self) -> tuple[str, dict] | None:
        """Class path and arguments of the editor; None where the pipeline edits with `weights`."""
        return self.editor and (self.editor, self.init_args)

    def check_weights(self) -> None:  # noqa: B027 - a kind without weights of its own has nothing to check
        """Raise UserError if weights that should be on this machine are missing; imports nothing heavy."""

    def given(self, *bases: type) -> list[str]:
        """Fields of these bases whose values are not the defaults."""
        return [
            each.name for base in bases for each in fields(base) if getattr(self, each.name) not in (None, each.default)
        ]

    @property
    def announcement(self) -> str:
        """The first words of a command that loads an editor, printed before heavy imports."""
        return f"loading {self.editor}"

    @property
    def references(self) -> list[Path]:
        return []

    @property
    def boxes(self) -> list[list[int] | None]:
        """One box or None for each reference."""
        return []

    @property
    def reference_masks(self) -> list[Path | None]:
        """One mask or None for each reference."""
        return []

    @property
    def left_open(self) -> list[str]:
        """Options whose value the editor decides when it is loaded."""
        return []

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        """The pictures to read, by the option that names them."""
        return {"source": [self.source]}

    @property
    def files(self) -> dict[str, list[Path | None]]:
        """The files that a result depends on, by the option that names them."""
        return self.pictures

    @property
    def seeds(self) -> list[int]:
        return [self.seed + number for number in range(self.num_images)]

    @property
    def outputs(self) -> list[Path]:
        """One path for each result."""
        if self.num_images == 1:
            return [self.output]
        return [self.beside_output(str(number + 1)) for number in range(self.num_images)]

    @property
    def singles(self) -> list[Self]:
        """A config for each result alone."""
        return [
            replace(self, seed=seed, num_images=1, output=path, grid=False)
            for seed, path in zip(self.seeds, self.outputs, strict=True)
        ]

    @property
    def run_folder(self) -> Path:
        """Folder in which the state of a long edit is kept until its result is written."""
        return self.output.with_name(f"{self.output.name}.run")

    @property
    def is_stopped(self) -> bool:
        """Whether an earlier call of the same command was stopped in the middle of an edit."""
        return any(single.run_folder.is_dir() for single in self.singles)

    @property
    def written(self) -> list[Path]:
        return [*self.outputs, *([self.sheet] if self.grid else [])]

    @property
    def sheet(self) -> Path:
        """Path of the contact sheet."""
        return self.beside_output("grid")

    def beside_output(self, addition: str) -> Path:
        """A path beside the output, with `-addition` before its suffix."""
        return self.output.with_name(f"{self.output.stem}-{addition}{self.output.suffix}")


@dataclass(frozen=True, kw_only=True)
class MaskedEditConfig(EditConfig):
    """The region to repaint."""

    mask: Path | None = None
    """Mask of the region to repaint: white where the edit happens, of the source's size."""

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        return super().pictures | {"mask": [self.mask]}


def takes_list(kind: object) -> bool:
    """Whether an option of this type may be a list."""
    return any(get_origin(each) is list for each in (kind, *get_args(kind)))
