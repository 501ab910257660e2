from .checks import CheckError as CheckError
from .compression_recipe import RECIPES as RECIPES
from .compression_recipe import Recipe as Recipe
from .compression_result import CompressionResult as CompressionResult
from .compression_run import AccuracyLossError as AccuracyLossError
from .pipeline import compress as compress
from .sensitivity import SensitivityResult as SensitivityResult
from .sensitivity import scan_sensitivity as scan_sensitivity
