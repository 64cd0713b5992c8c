"""The card of a folder of clips: `README.md` for people, as Hugging Face shows it, and `croissant.json` for programs.

Both follow from what lies in the folder and from what the user says of it, and name no time but the day on which the
last shard was made. A file that somebody has edited, or written, stays as it is: each of ours carries its own hash.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from xxhash import xxh3_64_hexdigest

from vidaug_cli.augment.contents import About, Contents, Layout
from vidaug_cli.augment.croissant import croissant_of, file_object, file_set, said_in, table
from vidaug_cli.data.kinds import has_plan, parts_of
from vidaug_cli.data.rows import MANIFEST
from vidaug_cli.files import write_text_atomically
from vidaug_cli.words import human_bytes, printable

README, CROISSANT = "README.md", "croissant.json"
MOST = 100  # classes that the card lists
SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
_OURS = re.compile(r"<!-- written by vidaug; edited, it stays as it is \(([0-9a-f]{16})\) -->\n")
FORMAT_PAGE = "docs/shard-format.md of vidaug-cli"


def about_of(folder: Path) -> About:
    """Return what the card of a folder says that only its user knows."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return About(**said_in(json.loads((folder / CROISSANT).read_text("utf-8"))))
    return About()


def write_shard_card(out: Path, about: About) -> list[str]:
    """Write the card of a folder of shards, and return what is kept of a person's own, by name.

    What `about` leaves open is as the card that is there says. Raises VidaugError where the folder does not take it.
    """
    for part in out.glob("part-[0-9]*"):
        if not has_plan(part):  # its shards were overwritten
            remove_card(part)
    contents = Contents.of(out)
    return write_card(out, out.absolute().name, contents, about.or_else(about_of(out)), _shard_layout(out, contents))


def _shard_layout(out: Path, contents: Contents) -> Layout:
    raw = all(header.codec == "raw" for header in contents.headers)
    loading = (
        "from datasets import load_dataset\n\n"
        'clips = load_dataset("hdf5", data_files="FOLDER/**/*.h5", split="train")\n'
        'video, label = clips.with_format("numpy")[0]["clips"], clips[0]["labels"]'
        if raw
        else "from vidaug_cli.data.shard.dataset import ShardDataset  # for torch\n\n"
        'clips = ShardDataset("FOLDER", with_weights=True)\nvideo, label, weights = clips[0]'
    )
    manifests = [part.relative_to(out) / MANIFEST for part in parts_of(out)]
    return Layout(
        files=f"The clips lie in HDF5 files, `shard-*.h5`, as {FORMAT_PAGE} describes; a row of `manifest.jsonl` is a "
        "video, and `plan.json` says how its clips were made. `vidaug inspect` sums up what is there.",
        loading=loading,
        data_files="**/*.h5" if raw else "",
        bytes=contents.bytes,
        distribution=[
            file_set("shards", "**/shard-*.h5", "application/x-hdf5", "clips with their labels, and what was drawn"),
            *(file_object(out, path.as_posix(), "application/jsonlines", "the videos") for path in manifests),
        ],
        record_sets=[
            table(f"videos-{number}", path.as_posix(), {"path": "sc:Text", "label": "sc:Text"}, "the videos")
            for number, path in enumerate(manifests)
        ],
    )


def write_card(folder: Path, name: str, contents: Contents, about: About, layout: Layout) -> list[str]:
    """Write `README.md` and `croissant.json` of the data set `name`, and return which a person has written or edited.

    Those stay.

    Raises VidaugError where the folder does not take them.
    """
    texts = {
        README: _readme(name, contents, about, layout),
        CROISSANT: _with_hash(croissant_of(name, contents, about, layout)),
    }
    kept = [file for file in texts if not is_ours(folder / file)]
    for file, text in texts.items():
        if file not in kept and _text_of(folder / file) != text:
            write_text_atomically(folder / file, text)
    return kept


def remove_card(folder: Path) -> None:
    """Delete what `write_card` wrote, but for what a person has edited, and the folder if nothing else is in it."""
    for file in (README, CROISSANT):
        if is_ours(folder / file):
            (folder / file).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def is_ours(path: Path) -> bool:
    """Return whether a file of a card may be written anew: it is not there, or as it was written."""
    text = _text_of(path)
    if not text:
        return not path.exists()
    if path.name == README:
        mark = _OURS.search(text)
        return mark is not None and _hash(_OURS.sub("", text)) == mark[1]
    with suppress(ValueError, AttributeError):
        content = json.loads(text)
        return text == _with_hash({key: value for key, value in content.items() if key != "sdVersion"})
    return False


def _text_of(path: Path) -> str:
    with suppress(OSError, UnicodeError):
        return path.read_text("utf-8")
    return ""


def _hash(text: str) -> str:
    return xxh3_64_hexdigest(text.encode())


def _with_hash(content: dict[str, Any]) -> str:
    """Return JSON-LD as text, whose version ends in the hash of the rest, the build of Semantic Versioning."""
    build = _hash(json.dumps(content, sort_keys=True))
    return json.dumps(content | {"sdVersion": f"1.0.0+{build}"}, ensure_ascii=False, indent=1) + "\n"


def _readme(name: str, contents: Contents, about: About, layout: Layout) -> str:
    text = f"{_header(contents, about, layout)}\n{{mark}}{_body(name, contents, about, layout)}"
    digest = _hash(text.replace("{mark}", "", 1))
    return text.replace("{mark}", f"<!-- written by vidaug; edited, it stays as it is ({digest}) -->\n", 1)


def _header(contents: Contents, about: About, layout: Layout) -> str:
    """Return what Hugging Face reads: YAML, whose values are written as JSON, which is YAML too."""
    size = next((words for most, words in SIZES.items() if contents.clips < most), "n>10M")
    values: dict[str, Any] = {}
    if about.license:
        link = "://" in about.license
        values |= {"license": "other", "license_link": about.license} if link else {"license": about.license.lower()}
    values |= {
        "task_categories": ["video-classification"],
        "tags": ["video", "soft-labels", "data-augmentation"],
        "size_categories": [size],
    }
    if layout.data_files:
        values["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": layout.data_files}]}]
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    return "\n".join(["---", *lines, "---"])


def _body(name: str, contents: Contents, about: About, layout: Layout) -> str:
    first = contents.headers[0]
    clip, videos = first.clip, contents.videos
    facts = {
        "clips": f"{contents.clips:,}" + (f" ({contents.left_out:,} left out)" if contents.left_out else ""),
        "of": f"{sum(videos.values()):,} videos of {', '.join(map(_cell, contents.sources))}",
        "shape": f"{clip.frames} x {clip.size} x {clip.size}, RGB",
        "size": human_bytes(layout.bytes),
        "made by": ", ".join(dict.fromkeys(f"vidaug-cli {header.tool_version}" for header in contents.headers)),
        "seed": ", ".join(dict.fromkeys(str(header.seed) for header in contents.headers)),
        "plan": ", ".join(f"`{header.plan_sha256}`" for header in contents.headers),
        "made on": contents.day,
        "licence of the videos": _cell(about.license) or "not given",
        "made for": _cell(about.creator),
        "more": _cell(about.url),
    }
    listed = [f"| {_cell(each)} | {number:,} |" for each, number in list(videos.items())[:MOST]]
    more = [f"| ... and {len(videos) - MOST} more, in `{CROISSANT}` | |"] if len(videos) > MOST else []
    recipes = [f"```toml\n{recipe.rstrip()}\n```\n" for recipe in contents.recipes]
    return "\n".join(
        [
            f"# {_cell(name)}\n\n{contents.text}\n",
            "| | |\n|---|---|",
            *(f"| {key} | {value} |" for key, value in facts.items() if value),
            f"\n## Files\n\n{layout.files}\n\n```python\n{layout.loading}\n```\n",
            "A label is a share for each class, and they sum to 1; frame t of a clip has the share `weights[t]` of the "
            "clip's own video, and the rest of its partner, if it has one.\n",
            f"## Recipe{'s' * (len(recipes) > 1)}\n",
            *recipes,
            "## Classes\n\nIn the order of labels.\n\n| class | videos |\n|---|---|",
            *listed,
            *more,
            "",
        ]
    )


def _cell(text: str) -> str:
    """Return a text of any origin for a cell of a table in Markdown."""
    return re.sub(r"([|`<>*\[\]\\])", r"\\\1", printable(text))
