"""The help of the fields of the recipes, in groups; choices beside it."""

from typing import Any

from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.export import formats
from keras_squeezenet.training import training_recipe

AUGMENTATION = (
    "augmentation of the training images; crop is for digits and letters",
    ("flip_crop", "crop", "none"),
)
UNEVEN = {
    "class_weight": "what classes weigh in the loss: balanced, by which each "
    "has the same part in it, or weights by name, such as rose:2,tulip:0.5",
    "focal": "exponent of the focal loss, which learns more from hard images; "
    "2 is usual, 0 for the cross-entropy",
}
LABEL_SMOOTHING = "share of a label that the other classes get"
LOSS = {"label_smoothing": LABEL_SMOOTHING, **UNEVEN}
DISTILLATION = {
    "distillation": "share of the teacher's part in the loss; with --teacher, "
    "0.5 unless stated",
    "temperature": "what the logits of both networks are divided by before "
    "they are compared",
}
TRAINING: dict[str, dict[str, Any]] = {
    "Training": {
        "epochs": "largest number of epochs",
        "batch_size": "images in a batch",
        "learning_rate": "highest learning rate",
        "augmentation": AUGMENTATION,
        "patience": "epochs without a better validation accuracy after which "
        "training stops",
        "precision": ("what training computes in", training_recipe.PRECISIONS),
        "validation_share": "share of the training images that become the "
        "validation set, which chooses the best epoch; for data without one",
        "seed": "seed of every random number",
    },
    "Optimizer": {
        "optimizer": ("the optimizer", training_recipe.OPTIMIZERS),
        "momentum": "momentum of sgd",
        "schedule": ("how the learning rate falls", training_recipe.SCHEDULES),
        "warmup": "share of the steps in which the learning rate rises",
        "clip_norm": "largest norm of all gradients together; 0 for no limit",
        "weight_decay": "weight decay of kernels and biases",
        "accumulation": "steps whose gradients make one update of the weights",
        "restarts": "how often training restarts, at half the learning rate, "
        "where the loss stays at ln(classes)",
        "average": "momentum of the moving average of the weights, which is "
        "saved; 0 for none",
    },
    "Regularization": {
        "label_smoothing": LABEL_SMOOTHING,
        "rand_augment": "strength of RandAugment, from 0 to 1",
        "mixup": "alpha of MixUp, from 0 to 1",
        "cutmix": "factor of CutMix, from 0 to 1",
    },
    "Uneven classes": UNEVEN,
    "Distillation": DISTILLATION,
    "For trials": {"max_train_steps": "largest number of steps"},
}
COMPRESSION: dict[str, dict[str, Any]] = {
    "Stages": {
        "stages": "in their order, of " + ", ".join(compression_recipe.STAGES),
        "max_accuracy_drop": "points of validation accuracy that a stage may "
        "lose; a stage that loses more is relaxed and tried again",
        "max_retries": "how often a stage is tried again",
        "image_size": "side of the square images in pixels; a MODEL for larger "
        "ones is taken to it before the stages (default: that of MODEL; that "
        "of the data set; or 224)",
        "finetune_learning_rate": "learning rate of pruning; the other stages "
        "take a half or a fifth of it",
        "batch_size": "images in a batch",
        "augmentation": AUGMENTATION,
        "validation_share": "share of the training images that become the "
        "validation set, which chooses the best epoch of a stage; for data "
        "without one",
        "keep_frozen": "leave layers with trainable=False as they are",
        "seed": "seed of every random number",
    },
    "Filter pruning": {
        "target_macs": "share of the multiply-accumulates to keep",
        "target_parameters": "share of the parameters to keep",
        "target_latency": (
            "milliseconds for an image to aim at, such as 1.2ms, measured on "
            "this machine",
            command_flags.Milliseconds,
        ),
        "latency_runtime": (
            "runtime of target_latency",
            formats.LATENCY_RUNTIMES,
        ),
        "latency_threads": "threads of this runtime",
        "prune_filters_epochs": "epochs of training after filters are removed; "
        "0 only fits the remaining weights",
    },
    "Pruning": {
        "densities": "share of the weights to keep, by patterns of layer "
        "names; the first pattern that matches counts: "
        "conv1:1,*_squeeze1x1:1,*:0.25",
        "overall_density": "share of all weights to keep, instead of densities",
        "density_split": (
            "how overall_density is divided among the layers",
            compression_recipe.SPLITS,
        ),
        "prune_epochs": "epochs of pruning",
        "prune_schedule": (
            "how the density falls",
            compression_recipe.SCHEDULES,
        ),
        "prune_rounds": "rounds of the iterative schedule",
        "prune_pattern": "2:4 keeps two weights of every four",
        "densify_epochs": "epochs of the stage densify, which trains all "
        "weights again after pruning",
    },
    "Weight sharing": {
        "bits": "bits of the code of a shared weight, by patterns of layer "
        "names: conv1:6,*:4",
        "average_bits": "average bits of all weights, divided among the layers "
        "by a sensitivity scan, instead of bits",
        "cluster_epochs": "epochs of weight sharing",
        "cluster_initialization": (
            "initial centroids of the shared weights",
            compression_recipe.INITIALIZATIONS,
        ),
    },
    "Quantization": {
        "quantize_epochs": "epochs of quantization-aware training; 0 quantizes "
        "after training",
        "quantize_preserve": (
            "what quantization-aware training keeps of a kernel",
            compression_recipe.PRESERVED,
        ),
        "litert": "LiteRT files to write: "
        + ", ".join(compression_recipe.LITERT_TYPES)
        + "; int16x8 is much slower than float32 on a CPU",
    },
    "Loss of the training and of every stage": LOSS,
    "Distillation": {
        **DISTILLATION,
        "distillation": "share of the teacher's part in the loss of every "
        "stage; with --teacher, 0.5 unless stated; without, MODEL as it is is "
        "the teacher",
    },
    "Packing": {
        "target_bytes": "largest size of the packed model.sqz",
        "max_kl": "largest divergence of the packed model on the validation "
        "set, in nats, instead of target_bytes; without both, "
        "max_accuracy_drop bounds the loss, or else 0.02 nats",
        "pack_epochs": "epochs of training the codes of the packed model; 0 "
        "for none; with target_bytes, unless stated, enough for 2,400 steps",
    },
    "For trials": {
        "max_train_steps": "largest number of training steps of a stage",
        "sensitivity_images": "validation images of a sensitivity scan",
    },
}
