"""The recipes of training that come with the package, by name."""

from keras_squeezenet.training.training_recipe import Recipe

RECIPES = {
    "default": Recipe(augmentation="flip_crop"),
    # What pays when there is time for a hundred epochs, and costs accuracy in
    # a few.
    "modern": Recipe(
        epochs=100,
        weight_decay=0.02,
        label_smoothing=0.1,
        augmentation="flip_crop",
        rand_augment=0.1,
        mixup=0.2,
        cutmix=0.5,
        average=0.99,
    ),
    # The authors' solver, but for the number of epochs and a remedy for what
    # it advises another seed for.
    "paper": Recipe(
        epochs=68,
        accumulation=16,
        optimizer="sgd",
        learning_rate=0.04,
        schedule="linear",
        weight_decay=2e-4,
        augmentation="flip_crop",
    ),
}
