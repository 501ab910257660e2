from .checks import GuaranteeError as GuaranteeError
from .compression_recipe import RECIPES as RECIPES
from .compression_recipe import Recipe as Recipe
from .pipeline import IGNORED_FILES as IGNORED_FILES
from .pipeline import AccuracyLossError as AccuracyLossError
from .pipeline import compress as compress
