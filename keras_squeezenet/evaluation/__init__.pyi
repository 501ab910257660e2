from .evaluator import EvaluationResult as EvaluationResult
from .evaluator import evaluate as evaluate
