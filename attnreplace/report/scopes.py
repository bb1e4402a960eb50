"""What a system replaces: the encoder's self-attention, the decoder's, cross-attention, or more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnreplace.hosts import GROUPS

STACKS = {"encoder.self": "encoder", "decoder.self": "decoder", "decoder.cross": "cross"}
NAMES = {
    ("encoder",): "encoder self-attention",
    ("decoder",): "decoder self-attention",
    ("cross",): "cross-attention",
    ("encoder", "decoder"): "all self-attention",
    ("encoder", "cross"): "encoder self- and cross-attention",
    ("decoder", "cross"): "all attention of the decoder",
    GROUPS: "all attention",
}


@dataclass(frozen=True)
class Scope:
    """Groups of sites that systems are compared on."""

    groups: tuple[str, ...]
    """In the order of `GROUPS`; none for the teacher."""

    @classmethod
    def of(cls, sites: Iterable[str]) -> "Scope":
        """The scope of some sites; what is not known keeps the name of its stack."""
        stacks = dict.fromkeys(site.rpartition(".")[0] for site in sites)
        found = [STACKS.get(stack, stack) for stack in stacks]
        return cls(tuple(sorted(found, key=_place)))

    @property
    def name(self) -> str:
        """In words, "decoder self-attention"."""
        return NAMES.get(self.groups, " and ".join(self.groups))

    @property
    def title(self) -> str:
        """In words, as a heading."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def word(self) -> str:
        """In a word, "decoder"."""
        return "all" if self.groups == GROUPS else " + ".join(self.groups)

    @property
    def suffix(self) -> str:
        """For names of files; nothing for the encoder."""
        if self.groups == ("encoder",):
            return ""
        return "_" + self.word.replace(" + ", "_")

    @property
    def decodes(self) -> bool:
        """Whether attention of the decoder is replaced."""
        return any(group != "encoder" for group in self.groups)

    @property
    def order(self) -> tuple[int, list[int]]:
        """Sort key: the teacher, single groups, then more and more of them."""
        return len(self.groups), [_place(group) for group in self.groups]


def scopes_of(scopes: Iterable[Scope]) -> list[Scope]:
    """The different scopes where something is replaced, in order."""
    return sorted({scope for scope in scopes if scope.groups}, key=lambda scope: scope.order)


def _place(group: str) -> int:
    order: Sequence[str] = GROUPS
    return order.index(group) if group in order else len(order)
