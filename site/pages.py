"""Makes a site of the pages as they are: `docs/`, and the pages in the root of the project and the examples that they link to.

MkDocs calls these functions. The order of the pages is that of the table in `docs/README.md`, so there is no second list.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Pages of the root, and what the site calls them. `docs/README.md` is its first page.
ROOT_PAGES = {
    "README.md": ("first-steps.md", "First steps"),
    "ARCHITECTURE.md": ("architecture.md", "Architecture"),
    "CONTRIBUTING.md": ("contributing.md", "Contributing"),
    "CHANGELOG.md": ("changelog.md", "Changelog"),
    "SECURITY.md": ("security.md", "Security policy"),
}
LIST_ITEM = re.compile(r"([-*]|\d+\.) ")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the pages in the order of the index."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [{title: name} for title, name in re.findall(r"^\| \[(.+?)\]\(([\w-]+\.md)\)", index, re.MULTILINE)]
    first, *project = [{title: name} for name, title in ROOT_PAGES.values()]
    config.nav = [{"Documentation": "README.md"}, first, *pages, {"Project": project}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the root, and the examples as files."""
    for path in sorted((ROOT / "examples").rglob("*")):
        if path.is_file() and path.suffix not in (".md", ".rs", ".pyc"):
            files.append(File.generated(config, f"{path.relative_to(ROOT)}", abs_src_path=f"{path}"))
    for source, (name, _) in ROOT_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](../docs/")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Turns links between the root and `docs/` into links of the site."""
    is_of_root = page.file.src_uri in {name for name, _ in ROOT_PAGES.values()}
    for source, (name, _) in ROOT_PAGES.items():
        markdown = re.sub(rf"\]\((?:{'' if is_of_root else '../'}){re.escape(source)}(?=[)#])", f"]({name}", markdown)
    return spaced(markdown.replace("](../docs/", "](").replace("](../examples/", "](examples/"))


def spaced(markdown: str) -> str:
    """Puts an empty line before each list: GitHub needs none, Python-Markdown would join the list to the paragraph."""
    lines: list[str] = []
    is_code = False
    for line in markdown.split("\n"):
        before = lines[-1] if lines else ""
        begins = LIST_ITEM.match(line) and before.strip() and not LIST_ITEM.match(before) and not before.startswith(" ")
        if begins and not is_code:
            lines.append("")
        is_code ^= line.startswith("```")
        lines.append(line)
    return "\n".join(lines)
