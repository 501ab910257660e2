from . import architecture as architecture
from . import classifier as classifier
from . import codec as codec
from . import compression as compression
from . import data as data
from . import evaluation as evaluation
from . import exploration as exploration
from . import export as export
from . import models as models
from . import packing as packing
from . import training as training
from .architecture import SqueezeNetConfig as SqueezeNetConfig
from .architecture import Stem as Stem
from .feature_extraction import features as features
from .squeezenet import SqueezeNet as SqueezeNet
from .squeezenet import SqueezeNet1_0 as SqueezeNet1_0
from .squeezenet import SqueezeNet1_1 as SqueezeNet1_1
from .squeezenet import SqueezeNet1_1SimpleBypass as SqueezeNet1_1SimpleBypass
from .squeezenet import SqueezeNetComplexBypass as SqueezeNetComplexBypass
from .squeezenet import SqueezeNetSimpleBypass as SqueezeNetSimpleBypass
from .squeezenet import decode_predictions as decode_predictions
from .squeezenet import preprocess_input as preprocess_input

__version__: str
