"""The Python interface: one function a stage, and what they take."""

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.store import ActivationStore
from attnreplace.config import RunConfig
from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.diagnosis.diagnose import diagnose
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.evaluate.translate import translate
from attnreplace.pipeline import run_all
from attnreplace.report.report import write_report
from attnreplace.report.tables import markdown_table
from attnreplace.rundir import RunDir
from attnreplace.search.config import SearchConfig
from attnreplace.search.search import search
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.splice import BundlePart, load_spliced
from attnreplace.teacher.build import TeacherConfig, teacher_config
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.load import load_teacher
from attnreplace.teacher.train import train
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.tune import tune

__all__ = [
    "ActivationStore",
    "BundlePart",
    "Corpus",
    "DataConfig",
    "DistillConfig",
    "EvalConfig",
    "ExtractConfig",
    "Pairs",
    "RunConfig",
    "RunDir",
    "SearchConfig",
    "TeacherConfig",
    "TrainingConfig",
    "TuneConfig",
    "UserError",
    "diagnose",
    "distill",
    "evaluate",
    "extract",
    "load_corpus",
    "load_spliced",
    "load_spliced_pretrained",
    "load_teacher",
    "markdown_table",
    "run_all",
    "search",
    "teacher_config",
    "train",
    "translate",
    "tune",
    "write_report",
]
