"""Draw docs/images/block.svg: a bottleneck with SE, BAv1 and BAv2.

    python docs/scripts/block_picture.py

Names are those of the equations in projects/banet/README.md. Colours follow
the reader's light or dark theme.
"""

from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / 'images/block.svg'
WIDTH, HEIGHT = 300, 372
CONV_X, GATE_X = 42, 244  # centre of the convs' column starts at CONV_X
ROWS = (62, 132, 202)  # of the three convs
PRODUCT, SUM = 278, 318  # of the circles below them
STYLE = """
svg { font: 13px system-ui, sans-serif; color: #1f2328 }
text { fill: currentColor; text-anchor: middle }
.title { font-weight: 600; font-size: 15px }
.box { fill: #f6f8fa; stroke: #6e7781 }
.bridge { fill: #ddf4ff; stroke: #0969da }
.line { fill: none; stroke: #6e7781; stroke-width: 1.4 }
.flow { fill: none; stroke: #0969da; stroke-width: 1.4 }
.tip { fill: #6e7781 } .flowtip { fill: #0969da }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3 }
  .box { fill: #21262d } .bridge { fill: #0c2d6b }
  .bridge, .flow { stroke: #58a6ff } .flowtip { fill: #58a6ff }
  .box, .line { stroke: #9198a1 } .tip { fill: #9198a1 }
}
"""


def text(x, y, words, kind=''):
    """``W_i g_i`` is written with indices."""
    spans = ''
    for word in words.split(' '):
        name, _, index = word.partition('_')
        spans += f'<tspan> {name}</tspan>' if spans else name
        if index:
            spans += f'<tspan font-size="10" dy="4">{index}</tspan>'
            spans += '<tspan dy="-4">&#8203;</tspan>'
    return f'<text class="{kind}" x="{x}" y="{y}">{spans}</text>'


def box(x, y, width, words, kind='box', height=30):
    """Centred on (x, y)."""
    return (
        f'<rect class="{kind}" x="{x - width / 2}" y="{y - height / 2}" '
        f'width="{width}" height="{height}" rx="4"/>' + text(x, y + 5, words)
    )


def circle(x, y, sign, kind='box'):
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="11"/>' + text(
        x, y + 5, sign
    )


def arrow(points, kind='line'):
    tip = 'flowtip' if kind == 'flow' else 'tip'
    path = ' '.join(f'{x},{y}' for x, y in points)
    return (
        f'<polyline class="{kind}" points="{path}" marker-end="url(#{tip})"/>'
    )


def block():
    """The residual block that all three share."""
    parts = [arrow([(CONV_X + 30, 22), (CONV_X + 30, ROWS[0] - 16)])]
    parts.append(text(CONV_X + 30, 16, 'x'))
    for number, y in enumerate(ROWS, 1):
        parts.append(box(CONV_X + 30, y, 76, f'conv {number}, BN'))
        below = ROWS[number] - 16 if number < 3 else PRODUCT - 12
        parts.append(arrow([(CONV_X + 30, y + 15), (CONV_X + 30, below)]))
    x = CONV_X + 30
    parts += [
        circle(x, PRODUCT, '×', 'bridge'),
        arrow([(x, PRODUCT + 11), (x, SUM - 12)]),
        circle(x, SUM, '+'),
        arrow([(x, 34), (14, 34), (14, SUM), (x - 12, SUM)]),
        arrow([(x, SUM + 11), (x, SUM + 28)]),
        text(x, SUM + 44, 'ReLU'),
    ]
    return parts


def gate(layers, top):
    """Layers below each other at the right, ending in the product."""
    parts, y = [], top
    for layer in layers:
        parts.append(arrow([(GATE_X, y - 8), (GATE_X, y + 5)], 'flow'))
        parts.append(box(GATE_X, y + 17, 64, layer, 'bridge', 22))
        y += 36
    parts.append(
        arrow(
            [(GATE_X, y - 8), (GATE_X, PRODUCT), (CONV_X + 42, PRODUCT)],
            'flow',
        )
    )
    return parts


def bridges(merge, term):
    """Pooled features of all convs, brought to (GATE_X, merge)."""
    parts = []
    for number, row in enumerate(ROWS, 1):
        y = row + 36
        parts += [
            text(CONV_X + 48, y - 6, f'F_{number}'),
            arrow([(CONV_X + 30, y), (CONV_X + 71, y)], 'flow'),
            box(CONV_X + 104, y, 66, term(number), 'bridge', 24),
            arrow(
                [
                    (CONV_X + 137, y),
                    (CONV_X + 150, y),
                    (CONV_X + 150, merge),
                    (GATE_X - 12, merge),
                ],
                'flow',
            ),
        ]
    return parts


def panel(title, parts, left):
    inner = ''.join(parts)
    return (
        f'<g transform="translate({left} 30)">'
        f'{text(WIDTH / 2, -10, title, "title")}{inner}</g>'
    )


def picture():
    se = [
        *block(),
        text(CONV_X + 48, 232, 'F_3'),
        arrow([(CONV_X + 30, 238), (CONV_X + 71, 238)], 'flow'),
        box(CONV_X + 98, 238, 52, 'g_3', 'bridge', 24),
        arrow(
            [(CONV_X + 124, 238), (184, 238), (184, 106), (GATE_X, 106)],
            'flow',
        ),
        *gate(['FC', 'ReLU', 'FC', 'σ'], 114),
    ]
    v1 = [
        *block(),
        *bridges(98, lambda i: f'BN W_{i} g_{i}'),
        circle(GATE_X, 98, 'Σ', 'bridge'),
        *gate(['ReLU', 'W_g', 'σ'], 117),
    ]
    v2 = [
        *block(),
        *bridges(98, lambda i: f'a_{i} W_{i} g_{i}'),
        circle(GATE_X, 98, 'Σ', 'bridge'),
        text(GATE_X + 26, 103, '+ b'),
        *gate(['BN', 'ReLU', 'W_g', 'σ'], 117),
    ]
    marker = ''.join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
        for name in ('tip', 'flowtip')
    )
    panels = ''.join(
        panel(title, parts, WIDTH * i)
        for i, (title, parts) in enumerate(
            [
                ('SE: the last conv alone', se),
                ('BAv1: all convs', v1),
                ('BAv2: all convs, weighed', v2),
            ]
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * WIDTH}" '
        f'height="{HEIGHT + 24}" viewBox="0 0 {3 * WIDTH} {HEIGHT + 24}" '
        'role="img"><title>A residual block with SE, BAv1 and BAv2</title>'
        f'<style>{STYLE}</style><defs>{marker}</defs>{panels}</svg>\n'
    )


if __name__ == '__main__':
    OUT.write_text(picture())
