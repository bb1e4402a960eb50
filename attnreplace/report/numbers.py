"""Figures as text."""


def points(value: float) -> str:
    """A score in points: `31.4`."""
    return f"{value:.1f}"


def difference(value: float) -> str:
    """What is between two scores in points, with its sign: `+0.4`; `0.0` has none."""
    text = f"{value:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "\u2212")


def percent(value: float) -> str:
    """A percentage: `97.41 %`."""
    return f"{value:.2f} %"


def share(value: float) -> str:
    """A share in per cent: `97.4 %`."""
    return f"{100 * value:.1f} %"


def count(value: float) -> str:
    """A count with three significant digits: `339 k`, `10.3 M`."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # The next unit starts where three digits would round up to 1000.
        if value >= 0.9995 * size:
            return f"{three_digits(value / size)}{unit}"
    return f"{value:.0f}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds with three significant digits: `12.3`."""
    return three_digits(1000 * seconds)


def kilobytes(value: float) -> str:
    """Bytes in units of 1000, with three significant digits: `12.3`."""
    return three_digits(value / 1000)


def error(value: float) -> str:
    """A relative error, a similarity: `0.042`."""
    return f"{value:.3f}"


def probability(value: float) -> str:
    """A probability: `0.013`."""
    return f"{value:.3f}"


def three_digits(value: float) -> str:
    """With three significant digits, or all of those before the point: `1.07`, `12.3`, `1,015`."""
    for digits in (2, 1):
        if round(value, digits) < 10 ** (3 - digits):
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def short(text: str) -> str:
    """A round figure without the zeros behind its point: `10 M` for `10.0 M`."""
    figure, space, unit = text.partition(" ")
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure}{space}{unit}"
