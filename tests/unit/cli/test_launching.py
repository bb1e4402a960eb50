"""Commands that documents and help name for several devices."""

import re
import shlex
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

ROOT = Path(__file__).parents[3]
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cli/*.py")]
COMMANDS = {
    match.group(1).split(" #")[0].strip()
    for path in TEXTS
    for match in re.finditer(
        r"(?:^| )torchrun (--.*)$", path.read_text("utf-8").replace("\\\n", " "), re.MULTILINE
    )
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_torchrun_takes_no_option_of_ours_for_its_own(command: str) -> None:
    words = shlex.split(command.replace("...", "--run runs/wmt"))
    ours = words[words.index("attnreplace_cli.main") + 1 :]
    parsed = get_args_parser().parse_args(words)
    assert parsed.module and parsed.training_script == "attnreplace_cli.main"
    assert parsed.training_script_args == ours
