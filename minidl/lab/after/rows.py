"""The rows of the benchmark page: what each is about, what was run here in its place, and what it would cost as it is.

Numbers of ours come from the results that the page is made of, and from documents beside the package; none stands here.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import minidl
from minidl.lab.study.statistics import Interval

__all__ = ["COSTS", "ROWS", "Cost", "Row", "benchmark_rows"]

DOCS = Path(minidl.__file__).parents[1] / "docs"
NOT_YET = "not run yet"


@dataclass(frozen=True)
class Row:
    """A row of the benchmark page.

    name, number   the data, and what the page says
    source         where the number is probably from, and how it was probably made
    instead        what is run here
    says           what our number says of the row, and what it does not
    claim, entry   the claim that has our number, and where that is one of the verdict's intervals, its name
    document       where no claim has it: the first cell of a row in docs/cifar.md
    """

    name: str
    number: str
    source: str
    instead: str
    says: str
    claim: str | None = None
    entry: str | None = None
    document: str | None = None


@dataclass(frozen=True)
class Cost:
    """What a row costs as it is, at the least.

    adds       multiply-adds of the forward pass for one example, with how they are counted
    examples   how many examples training takes, with how they are counted
    speed      whose GFLOP/s: "convolutions" or "products"
    besides    what the count leaves out
    """

    name: str
    adds: float
    adds_from: str
    examples: float
    examples_from: str
    speed: str
    besides: str

    @property
    def flop(self) -> float:
        """Floating-point operations: two for each multiply-add, and backward takes twice what forward does."""
        return 6 * self.adds * self.examples


ROWS = (
    Row(
        "Cora", "72.7",
        """Probably graph attention with batch norm where all nodes but those for training lack their words, in Zhou et al.
        2020, arXiv 2006.06972. The protocol is from its code; the table was *not read*.""",
        "that protocol, 20 seeds",
        "Whether the number comes out of that protocol; not that the row comes from it.",
        claim="graph-row", entry="cora, batch norm",
    ),
    Row(
        "Citeseer", "48.7", "As Cora; the page writes 0.487.", "that protocol, 20 seeds", "As Cora.",
        claim="graph-row", entry="citeseer, batch norm",
    ),
    Row(
        "CIFAR-10", "93.18", "Not found: neither paper nor network nor protocol.",
        "`minidl cifar --model best`, the recipe of Jordan 2024",
        "What a small network with batch norm reaches on the same test images; nothing of the row's own network.",
        document="`best`",
    ),
    Row(
        "CIFAR-100", "81.22", "Not found.", "`minidl cifar --dataset cifar100 --model best`", "As CIFAR-10.",
        document="`best`, CIFAR-100",
    ),
    Row(
        "PASCAL VOC 2012", "76.49",
        """The README of chenxi116/DeepLabv3.pytorch, which was read: DeepLabv3 on a ResNet-101 with ImageNet's weights and
        batch norm, 50 epochs, batches of 16, mean IoU on validation images; group norm with standardised weights has 77.20
        there.""",
        "segmentation of drawn scenes of digits by a small network, at several batch sizes and with several norms",
        "Where batch norm fails as batches become small, and why; nothing of photographs, or of pretrained weights.",
        claim="small-batches",
    ),
    Row(
        "COCO", "several", "Not found. Detection with small batches for each processor is likely.",
        "detection in the same drawn scenes", "As PASCAL VOC.", claim="small-batches-detection",
    ),
    Row(
        "Penn Treebank", "45.9",
        """Probably the perplexity with batch norm in Wang, Wu and Huang 2022, arXiv 2210.05153: a Transformer. The table was
        *not read*; for language its repository refers to that of “tensorized” Transformers, whose script was read.""",
        "a decoder of a few layers on characters of a public-domain text",
        "Whether training and evaluation differ with batch norm, and what exact statistics change; nothing of words, and no "
        "perplexity to compare.",
        claim="language",
    ),
    Row(
        "ImageNet", "74.8", "The paper's BN-x30, Figure 3 (read).",
        "nothing; the claim `steps` is a small version of that table",
        "Nothing: see *not tested here* in the first part.",
    ),
    Row("ImageNet", "78.24", "Not found.", "nothing", "Nothing."),
)  # fmt: skip

COSTS = (
    Cost(
        "ImageNet, BN-x30", 2.0e9, "that of this Inception in Szegedy et al. 2016 (*not read*); GoogLeNet has 1.5e9",
        6e6 * 32, "6 million steps of 32 (read, §4.2.2)", "convolutions",
        "No augmentation, no evaluation.",
    ),
    Cost(
        "PASCAL VOC, DeepLabv3",
        7.6e9 * (513 / 224) ** 2, "7.6e9 of ResNet-101 (He et al. 2016, *not read*) × (513/224)²",
        10_582 * 50, "10,582 images (the extended training set, *not read*) × 50 epochs", "convolutions",
        "Without the head, and as if the last blocks did not keep a finer grid. ImageNet's weights come first.",
    ),
    Cost(
        "COCO, a detector",
        3.8e9 * 800 * 1333 / 224**2, "3.8e9 of ResNet-50 (He et al. 2016, *not read*) × 800·1333/224²",
        90_000 * 16, "90,000 steps of 16 images, a usual short schedule: an assumption", "convolutions",
        "Without pyramid and heads. ImageNet's weights come first.",
    ),
    Cost(
        "Penn Treebank, a Transformer",
        3 * (2 * 256 * 2100 + 4 * 256 * 40) + 256 * 10_000,
        "3 layers of 2·256·2,100 + 4·256·40, and 256·10,000 for the words (`run_ptb.sh` of that repository)",
        20_000 * 120 * 32, "20,000 steps of 120 × 32 words (the same script)", "products",
        "Without attention's own products. What is missing is not time but the text, which is under licence.",
    ),
)  # fmt: skip


def benchmark_rows(found: Iterable, known: Iterable = (), docs: Path = DOCS) -> str:
    """Write the section "The rows of the benchmark page" as Markdown.

    found    (claim, facts, result), as `load_results` gives them
    known    all claims; a claim that is not among them is not named
    docs     the folder with cifar.md and the benchmark's records; without it these numbers are missing, and nothing else is
    """
    found, known = {claim.id: (claim, facts, result) for claim, facts, result in found}, {claim.id for claim in known}
    rows = [
        "| row | the page says | probable source and protocol | run here instead | our number | what it says, or does not |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        cells = (row.name, row.number, row.source, row.instead, _number(row, found, known, docs), row.says)
        rows.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    return f"""## The rows of the benchmark page

A page of benchmarks for this paper lists results of later work with batch norm; it names neither networks nor protocols.
What is said of a paper that was not read in its own text is marked: *not read*.

{chr(10).join(rows)}

{_costs(docs)}"""


def _number(row, found, known, docs):
    """Our number, from the results or from a document; or that there is none yet."""
    if row.document:
        return _accuracy(docs / "cifar.md", row.document) or NOT_YET
    if row.claim in found:
        claim, facts, result = found[row.claim]
        verdict = claim.verdict(result)
        text = f"{_interval(verdict.numbers[row.entry])} %" if row.entry else f"{verdict.word}: {verdict.number}"
        return text + (" (cut short: not to be believed)" if facts["quick"] else "")
    if row.claim is None:
        return "none"
    return f"{NOT_YET}: `minidl reproduce --claim {row.claim}`" if row.claim in known else NOT_YET


def _interval(numbers):
    return Interval(*numbers).text(1, 100)


def _accuracy(path, name):
    """The accuracies in the row of a table whose first cell is this name; None if there are none."""
    if not path.is_file():
        return None
    head = None
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if "one view" in cells:
            head = cells
        elif head and cells and cells[0] == name and len(cells) == len(head):
            told = dict(zip(head, cells, strict=True))
            views = [f"{told[view]} ({view})" for view in ("one view", "six views") if _is_told(told.get(view))]
            seeds = _seeds(told["seeds"]) if _is_told(told.get("seeds")) else ""
            return ", ".join(views) + seeds if views else None
    return None


def _seeds(cell):
    """Say how many seeds, or which: "5" and "0–4" are told differently."""
    return f", {cell} seeds" if cell.isdigit() else f", seeds {cell}"


def _is_told(cell):
    return cell not in (None, "", "–", "-")


def _costs(docs):
    """How long the rows would take as they are, from a count of operations and a measured speed."""
    speeds = _speeds(docs)
    text = """**What they would cost as they are**, on the machine of the benchmark in `docs/speed.md`: the operations of
training, 6 for each multiply-add of the forward pass (2 each, and backward takes twice as many), divided by a speed that
minidl reaches. Bounds from below: the counts leave out what the last column says."""
    if not speeds:
        return f"{text}\n\nNot computed here: there is no record of the benchmark."
    said = " ".join(
        f"{what.capitalize()} run at {speed:,.0f} GFLOP/s ({whose}, {record})."
        for what, (speed, whose, record) in speeds.items()
    )
    rows = [
        "| row | multiply-adds an example | examples | FLOP | FLOP ÷ speed, days | besides |",
        "|---|---|---|---|---|---|",
    ]
    for cost in COSTS:
        if cost.speed in speeds:
            speed = speeds[cost.speed][0]
            days = cost.flop / (1e9 * speed) / 86_400
            adds, examples, flop = (_power(number) for number in (cost.adds, cost.examples, cost.flop))
            rows.append(
                f"| {cost.name} | {adds}: {cost.adds_from} | {examples}: {cost.examples_from} | "
                f"6 · {adds} · {examples} = {flop} | {flop} ÷ {speed:,.0f}e9 ÷ 86,400 = "
                f"{days:{',.0f' if days >= 10 else '.2g'}} | {cost.besides} |"
            )
    return f"{text} {said}\n\n" + "\n".join(rows)


def _power(number):
    """Write 2.3e18."""
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _speeds(docs):
    """GFLOP/s of minidl, the highest in the newest record that has any: kind → (speed, of what, name of the record)."""
    wanted: dict[str, tuple[str, Callable[[str], bool]]] = {
        "convolutions": ("networks", lambda name: name.startswith("cifar_conv")),
        "products": ("limits", lambda name: name.startswith("matmul")),
    }
    speeds: dict[str, tuple[float, str, str]] = {}
    for path in sorted(docs.glob("bench-*.json"), reverse=True):
        found: dict[str, tuple[float, str, str]] = {}
        for entry in _entries(path):
            speed = entry.get("contenders", {}).get("minidl", {}).get("gflops")
            for kind, (part, fits) in wanted.items():
                if speed and entry.get("part") == part and fits(entry.get("name", "")):
                    found[kind] = max(found.get(kind, (0.0, "", "")), (speed, entry["name"], f"docs/{path.name}"))
        speeds = found | speeds
    return speeds


def _entries(path):
    """The results in a record; none in a file that is no record, which must not keep the page from being written."""
    try:
        return json.loads(path.read_bytes())["results"]
    except (ValueError, KeyError, TypeError):
        return []
