"""Codes on paper: a page for each voter, as HTML that a browser prints without a network.

HTML and not PDF: every registrar's machine has a browser that prints it, in the voters' scripts and
with the fonts that these need, which a PDF would have to bring along. Names are escaped, and the
pages load nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from evote._files import make_directory
from evote._voters import private_file, read_code_rows
from evote.errors import ParameterError

__all__ = ["write_sheets"]

_PAGE = """\
<!doctype html>
<html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
section { page-break-after: always; font: 14pt serif; padding: 2cm; }
h1 { font-size: 18pt; }
code { display: block; margin: 2em 0; font: bold 22pt monospace; white-space: nowrap; }
</style></head><body>
{% for row in rows %}<section>
<h1>{{ title }}</h1>
<p>{{ row.identity }}</p>
<p>{{ row.district }} / {{ row.style }}
{%- if row.status != "full" %} / {{ row.status }}{% endif %}</p>
<code>{{ row.code }}</code>
<p>{{ advice }}</p>
</section>
{% endfor %}</body></html>
"""


def write_sheets(
    codes: Path | str, folder: Path | str, title: str, advice: str, *, pages: int = 500
) -> list[Path]:
    """Write a page for each line of a codes' file, `pages` of them to a file of the folder.

    Only their owner reads the files; when they are printed, they are to be deleted.

    Raises:
        ParameterError: the file is no codes' file, or a file of the folder is there already.
    """
    if pages < 1:
        raise ParameterError("at least one page for each file")
    from jinja2 import Environment  # the other steps of a registrar do without it

    template = Environment(autoescape=True).from_string(_PAGE)
    make_directory(folder, mode=0o700)
    made = []
    for number, rows in enumerate(_portions(read_code_rows(codes), pages), 1):
        path = Path(folder) / f"sheets-{number:05d}.html"
        with private_file(path) as file:
            file.writelines(template.generate(title=title, advice=advice, rows=rows))
        made.append(path)
    return made


def _portions(rows: Iterator[dict[str, str]], count: int) -> Iterator[list[dict[str, str]]]:
    while portion := list(islice(rows, count)):
        yield portion
