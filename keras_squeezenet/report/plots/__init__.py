"""The pictures of a report, as matplotlib figures.

None of them touches matplotlib's global state, and the same report gives the
same picture.
"""

from keras_squeezenet.report.plots.classes import MAX_NAMES as MAX_NAMES
from keras_squeezenet.report.plots.classes import confusion as confusion
from keras_squeezenet.report.plots.classes import samples as samples
from keras_squeezenet.report.plots.compression import histograms as histograms
from keras_squeezenet.report.plots.compression import layers as layers
from keras_squeezenet.report.plots.compression import pack as pack
from keras_squeezenet.report.plots.compression import sizes as sizes
from keras_squeezenet.report.plots.epochs import training as training
from keras_squeezenet.report.plots.explored import exploration as exploration
from keras_squeezenet.report.plots.sensitivities import (
    sensitivity as sensitivity,
)
