from .class_activation import activation_maps as activation_maps
from .class_activation import overlay as overlay
from .evaluator import EvaluationResult as EvaluationResult
from .evaluator import evaluate as evaluate
