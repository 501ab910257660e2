from . import litert as litert
from . import packed_saved_model as packed_saved_model
from . import saved_model as saved_model
