from . import exporter as exporter
from . import formats as formats
from . import litert as litert
from . import packed_saved_model as packed_saved_model
from . import saved_model as saved_model
from .exporter import ExportedFile as ExportedFile
from .exporter import ExportResult as ExportResult
from .exporter import export as export
