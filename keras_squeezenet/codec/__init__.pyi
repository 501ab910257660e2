from .headers import read_metadata as read_metadata
from .keras_models import IMAGENET as IMAGENET
from .keras_models import dump as dump
from .keras_models import load as load
from .keras_models import loads as loads
from .keras_models import read_labels as read_labels
from .keras_models import require_labels as require_labels
from .keras_models import save as save
