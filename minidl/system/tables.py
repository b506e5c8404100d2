"""Tables of text: for a terminal, and as Markdown."""

__all__ = ["markdown_table", "text_table"]


def text_table(rows, left=1):
    """Lay out rows of strings, the head first, in columns; the first `left` columns flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if i < left else ">" for i in range(len(widths))]
    lines = ["  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(rows, left=1):
    """Lay out the same as Markdown."""
    head, *body = rows
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (head, rule, *body)
    )
