"""What gives a case away before it is solved: pure rules over texts, telemetry and dashboards.

And what would refute a case although it is fair: bounds that leave no room. Each returns its
findings and never stops at the first. Nothing here reads a file.
"""

from lab.lint.bounds import bound_problems
from lab.lint.claims import claim_problems
from lab.lint.dashboards import dashboard_problems
from lab.lint.problem import Problem, Rule, file_problem, merged
from lab.lint.telemetry import TelemetryLint
from lab.lint.texts import text_problems

__all__ = [
    "Problem",
    "Rule",
    "TelemetryLint",
    "bound_problems",
    "claim_problems",
    "dashboard_problems",
    "file_problem",
    "merged",
    "text_problems",
]
