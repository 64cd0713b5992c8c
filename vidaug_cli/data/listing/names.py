"""What names alone tell: splits, folders that only hold videos, numbered folders, what systems leave behind."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from vidaug_cli.words import cut

_SPLIT_WORDS = {
    "train": "train training trn trainset trainval",
    "validation": "val valid validate validation valset dev",
    "test": "test testing tst testset",
}
SPLITS = {word: split for split, words in _SPLIT_WORDS.items() for word in words.split()}
# Words for what every data set is made of: a folder called so is no class.
_CONTENTS = (
    "avi clip clips data dataset datasets frame frames image images img imgs jpeg jpegs jpg mp4 picture pictures png"
    " rawframes rawvideos rgb video videos"
)
# Words that may stand beside a split's: `videos_train`, `val_256x256`, `test-split`, `train_set_full`.
_BESIDE = "all final folder full list lists new p part raw set small split splits subset the tiny x"
_MEDIA = frozenset(_CONTENTS.split())
_FILLING = _MEDIA.union(_BESIDE.split())
# Folders and files of operating systems, file servers and tools.
_SYSTEM = frozenset(
    {
        *("#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@tmp"),  # file servers
        *("$recycle.bin", "desktop.ini", "recycled", "recycler", "system volume information", "thumbs.db"),  # Windows
        *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS
        *("found.000", "lost+found", "lost.dir"),  # repaired disks
        *("__pycache__", "node_modules"),
    }
)


def nfc(name: str) -> str:
    """Return the name in the normal form of labels: some systems store `é` as `e` and an accent."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_hidden(name: str) -> bool:
    """Return whether a folder or file is not part of the data set: its name begins with a dot, or a system made it."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def split_of(name: str) -> str:
    """Return the split that a word stands for, in any case; words that stand for none are splits of their own."""
    return SPLITS.get(name.strip().casefold(), name.strip())


def split_in(name: str) -> str | None:
    """Return the split that a name holds the one word for: `train` of `kinetics_train_list.txt`."""
    named = {SPLITS[word] for word in words(name) if word in SPLITS}
    return named.pop() if len(named) == 1 else None


def words(name: str) -> list[str]:
    """Return the words of a name, without numbers: `videos`, `train` of `videosTrain_256`."""
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def is_media(name: str) -> bool:
    """Return whether a folder's name says no more than that there are videos or pictures in it."""
    parts = words(name)
    return name.casefold() in _MEDIA or (bool(parts) and _MEDIA.issuperset(parts) and not numbered([name]))


def are_splits(names: Collection[str]) -> bool:
    """Return whether all are names of splits: `train`, `videos_val`, `kinetics400_test_256`.

    Other words may stand beside the split's, the same in all names: `toy_train` and `fast_train` are no splits.
    """
    named = all(sum(word in SPLITS for word in words(name)) == 1 for name in names)
    others = {tuple(word for word in words(name) if word not in SPLITS and word not in _FILLING) for name in names}
    return named and len(others) == 1 and (len(names) > 1 or others == {()})  # `test_tube` alone is none


def numbered(names: Collection[str]) -> bool:
    """Return whether most names hold a number, as those of groups, persons and clips do."""
    return sum(bool(re.search(r"\d", name)) for name in names) * 2 > len(names)


def is_series(names: Collection[str]) -> bool:
    """Return whether the names are one word with a number each: `subject1`, `subject2`."""
    stems = {re.sub(r"\d+", "#", name).casefold() for name in names}
    return len(stems) == 1 and stems.isdisjoint(names) and bool(words(stems.pop()))


def first_few(names: Collection[str], most: int = 4) -> str:
    """Return names for a message: the first few, and how many more there are."""
    shown = [cut(name) for name in sorted(names)[:most]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
