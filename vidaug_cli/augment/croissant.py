"""Croissant 1.1, the JSON-LD by which search engines and loaders know a data set, with its provenance by W3C's PROV.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidaug_cli.augment.contents import About, Contents, Layout

VERSION = "http://mlcommons.org/croissant/1.1"
_TERMS = (  # of Croissant, by their own names, as the appendix of the specification has them
    *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract"),
    *("field", "fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
    *("key", "md5", "parentField", "path", "recordSet", "references", "regex", "readLines", "repeated", "replace"),
    *("samplingRate", "sdVersion", "separator", "source", "subField", "transform", "unArchive", "value"),
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant_of(name: str, contents: Contents, about: About, layout: Layout) -> dict[str, Any]:
    """Return the description of a data set as JSON-LD; what the user does not say is not in it."""
    said: dict[str, Any] = {}
    if about.license:
        link = "://" in about.license
        said["license"] = about.license if link else {"@type": "sc:CreativeWork", "name": about.license}
    if about.creator:
        said["creator"] = {"@type": "sc:Organization", "name": about.creator}
    if about.url:
        said["url"] = about.url
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": name,
        "description": contents.text,
        **said,
        "version": "1.0.0",
        "datePublished": contents.day,
        "keywords": ["video", "action recognition", "soft labels", "data augmentation"],
        "distribution": layout.distribution,
        "recordSet": [_classes(contents), *layout.record_sets],
        **_provenance(contents),
    }


def said_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Return what a description has from the user: licence, creator and URL, those that are there."""
    values = {key: content[key] for key in ("license", "creator", "url") if key in content}
    return {key: value["name"] if isinstance(value, dict) else value for key, value in values.items()}


def _provenance(contents: Contents) -> dict[str, Any]:
    """Return from which videos the clips were derived, by which program, and with which recipes."""
    plans = [
        {
            "@type": "prov:Association",
            "prov:agent": {"@type": "prov:SoftwareAgent", "prov:label": f"vidaug-cli {header.tool_version}"},
            "prov:hadPlan": {
                "@id": f"urn:sha256:{header.plan_sha256}",
                "@type": ["prov:Entity", "prov:Plan"],
                "prov:label": f"recipe, with seed {header.seed}",
                "prov:value": header.recipe,
            },
        }
        for header in contents.headers
    ]
    videos = f"{', '.join(contents.sources)}: {sum(contents.videos.values())} videos"
    hashes = ", ".join(header.manifest_xxh3 for header in contents.headers)
    return {
        "prov:wasDerivedFrom": {"@type": "prov:Entity", "prov:label": videos, "prov:value": f"manifest_xxh3 {hashes}"},
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "video augmentation",
            "prov:qualifiedAssociation": plans,
        },
    }


def _classes(contents: Contents) -> dict[str, Any]:
    fields = {"index": "sc:Integer", "name": "sc:Text", "videos": "sc:Integer"}
    rows = enumerate(contents.videos.items())
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes in the order of labels, and how many videos each has.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/index"},
        "field": [_field("classes", name, kind) for name, kind in fields.items()],
        "data": [
            {"classes/index": index, "classes/name": name, "classes/videos": number} for index, (name, number) in rows
        ],
    }


def _field(owner: str, name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{owner}/{name}", "name": name, "dataType": kind} | more


def table(name: str, files: str, columns: Mapping[str, str], description: str) -> dict[str, Any]:
    """Return a record set: the columns, with the type of each, of a file or a set of files. `T[]` is a list of T."""
    fields = []
    for column, kind in columns.items():
        where = {"fileSet" if _is_set(files) else "fileObject": {"@id": files}, "extract": {"column": column}}
        array = {"isArray": True, "arrayShape": "-1"} if kind.endswith("[]") else {}
        fields.append(_field(name, column, kind.removesuffix("[]"), source=where, **array))
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description, "field": fields}


def _is_set(files: str) -> bool:
    return "." not in files


def file_object(folder: Path, path: str, encoding: str, description: str) -> dict[str, Any]:
    """Return one file in a folder, with its size and hash."""
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "description": description,
        "contentUrl": path,
        "contentSize": f"{(folder / path).stat().st_size} B",
        "encodingFormat": encoding,
        "sha256": digest,
    }


def file_set(name: str, includes: str, encoding: str, description: str, within: str = "") -> dict[str, Any]:
    """Return files of one kind, by a pattern of their paths; `within` another set of archives."""
    inside = {"containedIn": {"@id": within}} if within else {}
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        **inside,
        "encodingFormat": encoding,
        "includes": includes,
    }
