"""The ledger: a folder of results, and the page that is written from it.

The folder has a file `<id>.json` for each claim, and its figure `figures/<id>.png`. Every number on the page comes from
these files, and its verdicts are computed from the runs in them.
"""

import json
import re

from minidl.lab.study.claim import PARTS, WORDS, Result, Run, cautious, plain
from minidl.system.files import as_path, write_atomically
from minidl.system.terminal import note

__all__ = ["load_results", "page", "put_table", "save_result"]

BEGIN, END = "<!-- ledger: written by `minidl reproduce` -->", "<!-- end of the ledger -->"
# what readers ask first, whatever the verdicts
IN_BRIEF = ("steps", "fig1a", "ics", "lr", "sigmoid-depth", "regularise")
BRIEF = 5  # rows


def save_result(folder, claim, result, facts):
    """Write `<id>.json`: the facts about this run (dict), the verdict, and every run's configuration and record."""
    content = {
        "claim": claim.id,
        **facts,
        "core_seconds": round(sum(run.seconds for run in result.runs), 1),
        "verdict": _as_dict(claim.verdict(result)),
        "runs": [{"config": run.config, "record": run.record} for run in result.runs],
    }
    head = json.dumps({k: v for k, v in content.items() if k != "runs"}, indent=1, allow_nan=False, ensure_ascii=False)
    runs = ",\n".join(json.dumps(run, allow_nan=False) for run in content["runs"])  # a line a run
    path = as_path("save_result", folder) / f"{claim.id}.json"
    write_atomically(path, f'{head[:-2]},\n "runs": [\n{runs}\n]}}\n'.encode())


def load_results(folder, claims):
    """Load (claim, facts, Result) for each claim that has a file in the folder.

    A file of an older study, which today's verdict cannot read, is left out; stderr says so.
    """
    found = []
    for claim in claims:
        path = as_path("load_results", folder) / f"{claim.id}.json"
        if path.is_file():
            content = json.loads(path.read_bytes())
            runs = tuple(Run(run["config"], run["record"]) for run in content.pop("runs"))
            if _can_judge(claim, Result(runs), path):
                found.append((claim, content, Result(runs)))
    return found


def _can_judge(claim, result, path):
    try:
        claim.verdict(result)
    except Exception as error:  # it may miss anything
        note(
            f"minidl: {path} is left out: it comes from another version of this study ({type(error).__name__}: {error}); "
            f"to make it again: minidl reproduce --claim {claim.id} --out {path.parent}"
        )
        return False
    return True


def page(found, missing, known=(), rows=""):
    """Write the whole page as Markdown: a part for the paper, and one for what came after it, if there is anything in it.

    found     what `load_results` gave
    missing   name → why: what has no study here, or one without results yet
    known     all claims: they tell to which part a missing one belongs; other names belong to the paper's
    rows      Markdown for the second part, before its claims: what `lab/after/rows.py` writes of the benchmark page
    """
    later = {claim.id for claim in known if claim.part != PARTS[0]}
    missing = {name: why for name, why in missing.items() if name not in {claim.id for claim, _, _ in found}}
    parts = []
    for part, head in zip(PARTS, (_head, _head_of_later), strict=True):
        own = [entry for entry in found if entry[0].part == part]
        lacking = {name: why for name, why in missing.items() if (name in later) == (part != PARTS[0])}
        if part == PARTS[0] or own or lacking:
            verdicts = [claim.verdict(result) for claim, _, result in own]
            parts += [
                head(own),
                *([_table(own, verdicts)] if own or part == PARTS[0] else []),
                _not_tested(lacking, part),
                *([rows] if part != PARTS[0] else []),
            ]
            parts += [_section(*entry, verdict) for entry, verdict in zip(own, verdicts, strict=True)]
    return "\n\n".join(filter(None, parts)) + "\n"


def put_table(path, found):
    """Replace what is between the two marks of a Markdown file: by a count of the verdicts, and a short table.

    It is about the paper. It has five claims, the first of `IN_BRIEF` that have results: the first clause of statement and
    number.
    Errors  ValueError if the file has no such marks
    """
    path = as_path("put_table", path)
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the ledger; put these two lines where it should be: {BEGIN} {END}")
    table = _brief([(claim, claim.verdict(result)) for claim, _, result in found])
    write_atomically(path, f"{before}{BEGIN}\n{table}\n{END}{after}".encode())


def _brief(judged):
    judged = [(claim, verdict) for claim, verdict in judged if claim.part == PARTS[0]]
    counts = [(sum(verdict.word == word for _, verdict in judged), word) for word in WORDS]
    summary = ", ".join(f"{count} {word}" for count, word in counts if count)
    rows = ["| id | claim | verdict | number |", "|---|---|---|---|"]
    order = {name: place for place, name in enumerate(IN_BRIEF)}
    for claim, verdict in sorted(judged, key=lambda pair: order.get(pair[0].id, len(order)))[:BRIEF]:
        cells = (claim.id, _clause(claim.statement), verdict.word, _clause(verdict.number))
        rows.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    return f"Of {len(judged)} claims: {summary}.\n\n" + "\n".join(rows)


def _clause(text):
    """Return a text up to its first semicolon."""
    return text.partition(";")[0].removesuffix(".")


def _as_dict(verdict):
    return plain({"word": verdict.word, "number": verdict.number, "because": verdict.because, **verdict.numbers})


def _minutes(found):
    return sum(facts["core_seconds"] for _, facts, _ in found) / 60


def _warning(found):
    quick = [claim.id for claim, facts, _ in found if facts["quick"]]
    return f"\n\n**Cut short, to see that everything works; not to be believed:** {', '.join(quick)}." if quick else ""


def _head_of_later(found):
    ran = (
        f" The runs behind this part took {_minutes(found):,.1f} minutes of one core{_made_on(found)}." if found else ""
    )
    return f"""# After the paper

What others found about batch norm later: where it helps, where it fails, and what people use instead. As above, each rule
was written before the runs shown here, every result is published, and a seed gives all arms of a study the same initial
weights. What is said of a paper that was not read in its own text is marked: *not read*.{ran}{_warning(found)}"""


def _head(found):
    return f"""# The paper, claim by claim

Ioffe and Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift* (2015),
arXiv 1502.03167. Each claim has a study and a rule for its verdict, which was written before the runs shown here. Every
result is published, negative ones too. This page is written by `minidl reproduce` from the JSON files beside it.

To check a verdict: `python -m minidl reproduce --claim ID` (results go to `runs/reproduce/`). The runs behind this page
took {_minutes(found):,.1f} minutes of one core{_made_on(found)}.

Another processor, or another version of the libraries, rounds differently. Single runs near divergence may then differ by
points, and other records in their last digits. Finished runs are stored under the code that made them (studies, layers and
kernels): if that code changes, they run again.

There are four verdicts: **reproduced**, **partly**, **contradicted**, and **not at this scale** (the evidence goes neither
way). Unless a section says otherwise:

- Both arms start from the same weights and see the same batches.
- Learning rates are chosen for each arm on a validation split of 5,000 training images, never on the test images, with
  seeds of their own: two for the whole grid, three more for the two best rates. The smaller of the two is taken unless the
  larger is better by more than a standard error, since rates near divergence fail for other seeds.
- “±” is the half-width of a 95 % t interval over seeds, paired where two arms are compared. A difference counts when that
  interval excludes zero. Among so many intervals, some will exclude zero by chance.

Some things were changed after a result had been seen, and before the runs shown here:

- Tuning, twice: two seeds had chosen a rate at which three of five others stayed at chance. (It still happens in
  regularise, which says so.)
- fig1a is now tuned with seeds of its own. This moved its baseline from learning rate 2 to 0.5, its lead from
  +0.19 ± 0.19 to +0.53 ± 0.12 points, and its speed from 0.72× to 0.81×. So settings that are as good are now run and
  reported too.
- fig1a shows the ratio of steps for twelve targets. Its rule still takes one of them, 95 %.
- steps has two more arms, “retuned”, as a reader had found a better plain network. They change no verdict.
- fig1bc must also hold before the normalisation when the first interval is left out.
- drift-b is also run at learning rate 2, and the loss must rest in the network, too. It was “reproduced” before.
- bias starts from random biases.
- whitening must also be seen to fail.
- regularise has twenty seeds for its results. Five gave +0.56 ± 0.68 points for the noise, and so “not at this scale”.
- ics leaves step 0 out of its means. Its rule now asks for drift before the normalisation too, and for three learning rates
  instead of one.{_warning(found)}"""


def _made_on(found):
    """Name processors and libraries, each once."""
    made = [facts for _, facts, _ in found if "machine" in facts]
    processors = dict.fromkeys(f"{f['machine']['cores']} cores of {f['machine']['processor']}" for f in made)
    libraries = dict.fromkeys(", ".join(f"{name} {v}" for name, v in f["versions"].items()) for f in made)
    commits = dict.fromkeys(f["commit"] for f in made if f["commit"])
    told = [*processors, *libraries, *([f"commit {', '.join(commits)}"] if commits else [])]
    return f" ({'; '.join(told)})" if told else ""


def _table(found, verdicts):
    rows = ["| id | section | statement | verdict | number |", "|---|---|---|---|---|"]
    for (claim, _, _), verdict in zip(found, verdicts, strict=True):
        link = f"[{claim.id}](#{claim.id}-{verdict.word.replace(' ', '-')})"
        cells = (link, claim.section, claim.statement, verdict.word, verdict.number)
        rows.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    return "\n".join(rows)


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def _not_tested(missing, part):
    """List what is missing; the part on the paper says so even if nothing is."""
    if not missing and part != PARTS[0]:
        return ""
    rows = "\n".join(f"- **{name}**: {' '.join(why.split())}" for name, why in missing.items())
    return f"## Not tested {'here' if part == PARTS[0] else 'yet'}\n\n{rows}"


def _section(claim, facts, result, verdict):
    data = f" Data: {facts['data']}." if claim.data else ""
    seeds = sorted({run.config["seed"] for run in result.runs if run.config.get("stage") != "tune"})
    seeded = f", seeds {seeds[0]} to {seeds[-1]}"
    return f"""## {claim.id}: {verdict.word}

**Statement** ({claim.section}). {_cell(claim.statement)}

**Method.** {_flow(claim.method)}

**Rule.** {_flow(claim.rule)}

![{_alternative(claim, verdict)}](figures/{claim.id}.png)

**Number.** {_flow(verdict.number)}

{_flow(verdict.because)}{(claim.tables or _tuning)(result)}

**What it does not show.** {_flow(claim.limits)}

<sub>{len(result.runs)} runs{seeded}; {facts["core_seconds"] / 60:,.1f} minutes of one core.{data} minidl \
{facts["minidl"]}.</sub>"""


def _alternative(claim, verdict):
    """Say in words what the figure shows: verdict and number, without what Markdown would read as its own."""
    text = _flow(f"{claim.id}, {verdict.word}: {verdict.number}")
    return re.sub(r"([\\\[\]*_`<])", r"\\\1", text)


def _tuning(result):
    """Tabulate how learning rates were found: runs of the stage "tune", one row an arm."""
    runs = [run for run in result.runs if run.config.get("stage") == "tune"]
    if not runs:
        return ""
    tuned, rates = Result(tuple(runs)), sorted({run.config["lr"] for run in runs})
    rows = [f"| arm | {' | '.join(f'{rate:g}' for rate in rates)} |", "|---" * (len(rates) + 1) + "|"]
    for arm in tuned.settings("arm"):
        tried = tuned.where(arm=arm)
        chosen = cautious(tried, "validation")
        cells = [_percent(tried, rate, rate == chosen) for rate in rates]
        rows.append(f"| {arm} | {' | '.join(cells)} |")
    title = (
        "Validation accuracy (%) by learning rate, means of two seeds, or of five for the two best rates; bold: chosen"
    )
    return f"\n\n{title}:\n\n" + "\n".join(rows)


def _percent(tried, rate, chosen):
    if rate not in tried.settings("lr"):
        return ""
    text = f"{100 * tried.values('validation', lr=rate).mean():.2f}"
    return f"**{text}**" if chosen else text


def _flow(text):
    return " ".join(text.split())
