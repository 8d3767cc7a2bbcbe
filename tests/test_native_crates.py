"""What the accelerator is built of: licences that agree with ours, from one registry, pinned."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

NATIVE = Path(__file__).parents[1] / "native"
LICENCES = {
    "Apache-2.0",
    "MIT",
    "BSD-3-Clause",
    "Unicode-3.0",
    "Zlib",
    "Apache-2.0 WITH LLVM-exception",
}


@pytest.fixture(scope="module")
def packages() -> list[Any]:
    if shutil.which("cargo") is None:
        pytest.skip("crates not checked: no cargo")
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline"]
    done = subprocess.run(command, cwd=NATIVE, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("crates not checked: not all of them were ever fetched here")
    found: list[Any] = json.loads(done.stdout)["packages"]
    return found


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met: by one side of every OR, by both of an AND."""
    text = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    if " ( " in f" {text} ":
        inner_start = text.rindex("(")
        inner_end = text.index(")", inner_start)
        inner = "MIT" if allowed(text[inner_start + 1 : inner_end].strip()) else "no"
        return allowed(f"{text[:inner_start]}{inner}{text[inner_end + 1 :]}".strip())
    if " AND " in text:
        return all(map(allowed, text.split(" AND ")))
    return any(part.strip() in LICENCES for part in text.split(" OR "))


def test_expressions() -> None:
    for good in ("MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-2.0) AND Unicode-3.0"):
        assert allowed(good), good
    for bad in ("GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR LGPL-2.1) AND MIT", ""):
        assert not allowed(bad), bad


def test_licences(packages: list[Any]) -> None:
    assert len(packages) > 5
    refused = {p["name"]: p["license"] for p in packages if not allowed(p["license"] or "")}
    assert not refused


def test_crates_are_pinned_and_of_one_registry() -> None:
    lock = tomllib.loads((NATIVE / "Cargo.lock").read_text(encoding="utf-8"))
    for crate in lock["package"]:
        if crate["name"] != "evote-native":
            assert crate["source"] == "registry+https://github.com/rust-lang/crates.io-index"
            assert len(crate["checksum"]) == 64


def test_unsafe_code_says_why_it_is_sound() -> None:
    """Each block in the lines before it, or a file for all of its blocks."""
    found = 0
    for path in sorted((NATIVE / "src").rglob("*.rs")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for number, line in enumerate(lines):
            code = line.split("//")[0]
            if "unsafe {" in code or "unsafe impl" in code:
                found += 1
                near = "\n".join(lines[max(0, number - 8) : number + 1])
                argued = "SAFETY:" in near or "SAFETY (of every" in text
                assert argued, f"{path.relative_to(NATIVE)}:{number + 1}: no argument"
    assert found
