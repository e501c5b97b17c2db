"""The files of a folder or a repository that are read; one process at a time fetches them."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants

from mimicbrush.errors import UserError
from mimicbrush.hub import locations
from mimicbrush.hub.locations import HubRepository
from mimicbrush.hub.part_files import PartFiles, find_part
from mimicbrush.hub.weight_files import DIFFUSERS, TRANSFORMERS, choose_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
D = "diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("names", "variant", "expected"),
    [
        ([f"{D}.safetensors", f"{D}.fp16.safetensors", f"{D}.bin"], None, f"{D}.safetensors"),
        ([f"{D}.fp16.safetensors", f"{D}.bin", f"{D}.fp16.bin"], None, f"{D}.fp16.safetensors"),
        ([f"{D}.fp16.safetensors", f"{D}.non_ema.safetensors", f"{D}.bin"], None, f"{D}.bin"),
        ([f"{D}.fp16.safetensors", f"{D}.non_ema.safetensors"], None, None),
        ([f"{D}.fp16.bin"], None, f"{D}.fp16.bin"),
        ([f"{D}.fp16.bin", f"{D}.non_ema.bin"], None, None),
        ([f"{D}.safetensors", f"{D}.fp16.safetensors"], "fp16", f"{D}.fp16.safetensors"),
        ([f"{D}.safetensors", f"{D}.fp16.bin"], "fp16", f"{D}.fp16.bin"),
        ([f"{D}.safetensors"], "fp16", None),
        ([f"{D}-00001-of-00002.safetensors", f"{D}.safetensors.index.json"], None, f"{D}.safetensors.index.json"),
        ([f"{D}.safetensors.index.fp16.json", f"{D}.bin"], None, f"{D}.safetensors.index.fp16.json"),
        ([f"{D}.safetensors.fp16.index.json"], "fp16", f"{D}.safetensors.fp16.index.json"),
        ([f"{D}.bin.index.json", f"{D}-00001-of-00002.bin"], None, f"{D}.bin.index.json"),
        ([f"{D}.safetensors", f"{D}.safetensors.index.json"], None, f"{D}.safetensors"),
        (["model.safetensors", "pytorch_model.bin", "flax_model.msgpack"], None, None),
        ([], None, None),
    ],
)
def test_weights_are_chosen_in_order(names, variant, expected):
    choice = choose_weights(names, DIFFUSERS, variant)
    assert (choice and choice.file) == expected


def test_transformers_has_its_own_file_names():
    assert choose_weights(["pytorch_model.bin", "model.fp16.safetensors"], TRANSFORMERS).variant == "fp16"
    assert choose_weights(["pytorch_model.bin", f"{D}.safetensors"], TRANSFORMERS).file == "pytorch_model.bin"


def make_part(folder: Path, class_name: str = "Net", files: tuple[str, ...] = (f"{D}.safetensors",)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": class_name}))
    for name in files:
        (folder / name).write_text("")
    return folder


class TestFolder:
    def find(self, folder: Path, **kwargs) -> PartFiles:
        return find_part(str(folder), DIFFUSERS, class_name="Net", **kwargs)

    def test_a_named_subfolder_is_used_without_a_note(self, tmp_path):
        make_part(tmp_path / "unet")
        make_part(tmp_path / "other")
        found = self.find(tmp_path, subfolder="unet")
        assert (found.folder, found.notes) == (tmp_path / "unet", ())

    def test_the_only_part_of_its_class_is_used_if_no_subfolder_is_named(self, tmp_path):
        make_part(tmp_path / "unet")
        make_part(tmp_path / "vae", "Autoencoder")
        found = self.find(tmp_path)
        assert found.folder == tmp_path / "unet"
        assert found.notes == (f"{tmp_path} holds no Net: taken from {tmp_path}/unet, the only one there",)

    def test_the_folder_itself_is_used_if_it_holds_the_part_and_not_the_named_subfolder(self, tmp_path):
        make_part(tmp_path)
        found = self.find(tmp_path, subfolder="unet")
        assert found.folder == tmp_path and found.notes

    def test_several_parts_of_its_class_are_refused_and_named(self, tmp_path):
        make_part(tmp_path / "unet")
        make_part(tmp_path / "reference_unet")
        with pytest.raises(UserError, match="several of Net: reference_unet, unet; name one as subfolder"):
            self.find(tmp_path)

    def test_the_files_of_the_folder_are_listed(self, tmp_path):
        make_part(tmp_path, files=(f"{D}.fp16.safetensors", f"{D}.non_ema.safetensors"))
        message = f"{tmp_path} holds config.json, {D}.fp16.safetensors, {D}.non_ema.safetensors; expected"
        with pytest.raises(UserError, match=message):
            self.find(tmp_path)
        with pytest.raises(UserError, match=r"expected weights of the variant bf16, .*\.bf16\.safetensors"):
            self.find(tmp_path, variant="bf16")
        with pytest.raises(UserError, match=r"empty holds no files, no config\.json"):
            (tmp_path / "empty").mkdir()
            self.find(tmp_path / "empty")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "model.bin").write_text("")
        with pytest.raises(UserError, match=r"other holds model\.bin, no unet/config\.json"):
            self.find(tmp_path / "other", subfolder="unet")

    def test_shards_are_all_needed(self, tmp_path):
        shards = [f"{D}-0000{number}-of-00002.safetensors" for number in (1, 2)]
        make_part(tmp_path, files=(shards[0],))
        index = tmp_path / f"{D}.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
        with pytest.raises(UserError, match=f"lacks {shards[1]}"):
            self.find(tmp_path)
        (tmp_path / shards[1]).write_text("")
        assert [path.name for path in self.find(tmp_path).files] == shards

    @pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd"])
    def test_shards_lie_beside_their_index(self, tmp_path, name):
        make_part(tmp_path, files=())
        (tmp_path / f"{D}.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(UserError, match="damaged, expected names of files beside it"):
            self.find(tmp_path)

    def test_config_alone_needs_no_weights(self, tmp_path):
        make_part(tmp_path, files=())
        assert self.find(tmp_path, with_weights=False).files == ()

    def test_a_missing_folder_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="nowhere does not exist"):
            self.find(tmp_path / "nowhere")

    def test_an_empty_name_is_not_the_current_folder(self):
        with pytest.raises(UserError, match="no weights are named; give a folder, a file"):
            find_part("", DIFFUSERS, class_name="Net")


class Client:
    """A fake client of the hub, with the files of one repository and a record of the requests."""

    def __init__(self, cache: Path, files: dict[str, str]) -> None:
        self.files, self.downloads, self.listings, self.revisions = files, [], 0, []
        self.snapshot = cache / "models--someone--net" / "snapshots" / COMMIT
        self.reference = cache / "models--someone--net" / "refs" / "main"
        self.is_reachable = True

    def repo_info(self, name: str, *, revision: str, timeout: float):
        self._check()
        self.revisions.append(revision)
        self.listings += 1
        siblings = [type("File", (), {"rfilename": file}) for file in self.files]
        return type("Info", (), {"siblings": siblings})

    def download(self, name: str, *, revision: str, allow_patterns: list[str]) -> str:
        self._check()
        self.revisions.append(revision)
        self.downloads.append(sorted(allow_patterns))
        self.put(allow_patterns)
        return str(self.snapshot)

    def put(self, names: list[str]) -> None:
        for path in (self.reference, *(self.snapshot / name for name in names)):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.reference.write_text(COMMIT)
        for name in names:
            (self.snapshot / name).write_text(self.files[name])

    def _check(self) -> None:
        if not self.is_reachable:
            raise ConnectionError("no route")


@pytest.fixture
def client(tmp_path, monkeypatch) -> Client:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    config = json.dumps({"_class_name": "Net"})
    files = {"unet/config.json": config, f"unet/{D}.safetensors": "", f"unet/{D}.bin": "", "vae/config.json": "{}"}
    client = Client(tmp_path, files)
    monkeypatch.setattr(locations, "HfApi", lambda: client)
    monkeypatch.setattr(locations, "snapshot_download", client.download)
    return client


class TestRepository:
    def find(self, **kwargs) -> PartFiles:
        return find_part("someone/net", DIFFUSERS, class_name="Net", **kwargs)

    def test_only_needed_files_are_fetched_and_later_none_is_requested(self, client):
        found = self.find(subfolder="unet")
        assert found.folder == client.snapshot / "unet"
        assert [name for names in client.downloads for name in names] == ["unet/config.json", f"unet/{D}.safetensors"]
        client.is_reachable = False
        assert self.find(subfolder="unet") == found

    def test_a_better_file_on_the_hub_is_preferred_to_a_cached_one(self, client):
        client.put(["unet/config.json", f"unet/{D}.bin"])
        assert self.find(subfolder="unet").choice.file == f"{D}.safetensors"

    def test_the_cache_is_used_if_the_hub_is_unreachable(self, client):
        client.put(["unet/config.json", f"unet/{D}.bin"])
        client.is_reachable = False
        assert self.find(subfolder="unet").choice.file == f"{D}.bin"

    def test_an_unreachable_hub_without_a_cache_is_reported(self, client):
        client.is_reachable = False
        with pytest.raises(UserError, match=r"someone/net cannot be fetched \(the hub cannot be reached\)"):
            self.find(subfolder="unet")

    def test_the_subfolder_is_found_on_the_hub_too(self, client):
        found = self.find()
        assert found.folder == client.snapshot / "unet"
        assert "taken from someone/net/unet" in found.notes[0]

    def test_a_later_part_comes_from_the_commit_of_the_first(self, client):
        """`main` may have moved since, but all parts of one repository come from one commit."""
        self.find(subfolder="unet")
        assert client.revisions == ["main"] * len(client.revisions)
        client.revisions.clear()
        find_part("someone/net", DIFFUSERS, class_name="VAE", subfolder="vae", with_weights=False)
        assert set(client.revisions) == {COMMIT}

    def test_further_files_are_fetched_if_the_copy_has_only_the_weights(self, client):
        client.files["unet/tokenizer.json"] = "{}"
        client.put(["unet/config.json", f"unet/{D}.safetensors"])
        folder = self.find(subfolder="unet", extra=("tokenizer.json",)).folder
        assert (folder / "tokenizer.json").is_file()

    def test_a_revision_may_be_a_commit(self, client):
        client.put(["unet/config.json", f"unet/{D}.safetensors"])
        client.reference.unlink()
        client.is_reachable = False
        assert self.find(subfolder="unet", revision=COMMIT).files
        with pytest.raises(UserError, match="cannot be reached"):
            self.find(subfolder="unet")

    def test_processes_that_start_together_fetch_once(self, client, caplog, monkeypatch):
        """Threads instead of processes: each has its own lock on the one file."""
        started, release = threading.Event(), threading.Event()
        download = client.download

        def slow(*args, **kwargs):
            started.set()
            assert release.wait(30)
            return download(*args, **kwargs)

        monkeypatch.setattr(locations, "snapshot_download", slow)
        repositories = [HubRepository("someone/net", "main") for _ in range(3)]
        threads = [
            threading.Thread(target=repository.fetch, args=("unet", ["config.json"])) for repository in repositories
        ]
        with caplog.at_level(logging.WARNING, logger="mimicbrush.hub"):
            threads[0].start()
            assert started.wait(30)
            for thread in threads[1:]:
                thread.start()
            while len(caplog.messages) < 2:  # both wait
                threads[1].join(0.01)
            release.set()
            for thread in threads:
                thread.join(30)
        assert client.downloads == [["unet/config.json"]]
        assert set(caplog.messages) == {"someone/net: another process on this machine is fetching it; waiting"}

    def test_a_process_killed_while_fetching_blocks_no_other(self, client):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            with locations._fetch_lock("someone/net"):
                os.write(writer, b"locked")
                signal.pause()
        assert os.read(reader, 6) == b"locked"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert self.find(subfolder="unet").files

    def test_a_failed_fetch_can_be_repeated(self, client):
        location = HubRepository("someone/net", "main")
        client.is_reachable = False
        with pytest.raises(UserError, match="cannot be fetched"):
            location.fetch("unet", ["config.json"])
        client.is_reachable = True
        assert (location.fetch("unet", ["config.json"]) / "config.json").is_file()
