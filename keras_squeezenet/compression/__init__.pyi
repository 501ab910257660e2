from .checks import CheckError as CheckError
from .compression_recipe import RECIPES as RECIPES
from .compression_recipe import Recipe as Recipe
from .pipeline import AccuracyLossError as AccuracyLossError
from .pipeline import CompressionResult as CompressionResult
from .pipeline import compress as compress
from .sensitivity import SensitivityResult as SensitivityResult
from .sensitivity import scan_sensitivity as scan_sensitivity
