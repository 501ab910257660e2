from .headers import read_metadata as read_metadata
from .models import IMAGENET as IMAGENET
from .models import dump as dump
from .models import load as load
from .models import loads as loads
from .models import read_labels as read_labels
from .models import require_labels as require_labels
from .models import save as save
