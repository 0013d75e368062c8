"""How good drafts are: against what people wrote, against what was said, and against another patient's encounter."""

from osler.draft.evaluate.corpora import Case, read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.evaluate.report import Report, evaluate

__all__ = ["Case", "Report", "evaluate", "read_aci_bench", "read_mts_dialog", "read_primock57"]
