from .catalog import load as load
from .image_dataset import ImageDataset as ImageDataset
from .lazy_examples import Examples as Examples
