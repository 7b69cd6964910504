"""Settings of the models for the generic suite. `parameters` counts trainable weights."""

CIFAR = (32, 32, 3)

MODELS = {
    "convnet": [
        {
            "settings": {"width": 64},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 1_558_026,
            "where": "derived: 378 k² + 152 k + 10",
        }
    ],
    "densenet": [
        {
            "settings": {"depth": 100, "growth_rate": 12},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 769_162,
            "where": "printed as .8M in table 2 of arXiv 1608.06993",
        },
        {
            "settings": {"depth": 40, "bottleneck": False, "compression": 1.0},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 1_019_722,
            "where": "printed as 1.0M in table 2 of arXiv 1608.06993",
        },
    ],
    "lenet5": [
        {
            "settings": {},
            "input_shape": (28, 28, 1),
            "num_classes": 10,
            "parameters": 61_706,
            "where": "derived from the layers",
        }
    ],
    "lenet_300_100": [
        {
            "settings": {},
            "input_shape": (28, 28),
            "num_classes": 10,
            "parameters": 266_610,
            "where": "printed as 266K weights in figure 2 of arXiv 1803.03635; with 410 biases",
        }
    ],
    "linear": [
        {
            "settings": {},
            "input_shape": (40,),
            "num_classes": 10,
            "parameters": 410,
            "where": "derived from the layers",
        }
    ],
    "lottery_convnet": [
        {
            "settings": {"depth": depth},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": parameters,
            "where": "printed in figure 2 of arXiv 1803.03635, without biases: " + printed,
        }
        for depth, parameters, printed in (
            (2, 4_301_642, "4.3M"),
            (4, 2_425_930, "2.4M"),
            (6, 2_262_602, "1.7M, which does not follow from the layers"),
        )
    ],
    "lstm": [
        {
            "settings": {"width": 8, "vocabulary_size": 100, "embedding_width": 4},
            "input_shape": (20,),
            "num_classes": 2,
            "parameters": 2_866,
            "where": "derived: 4 (n + u + 1) u in each direction",
        }
    ],
    "mlp": [
        {
            "settings": {"hidden_units": (512, 512, 512)},
            "input_shape": (28, 28, 3),
            "num_classes": 10,
            "parameters": 1_735_178,
            "where": "table 1 of arXiv 1611.03530",
        },
        {
            "settings": {"hidden_units": (100, 100), "skip": True},
            "input_shape": (40,),
            "num_classes": 10,
            "parameters": 15_210,
            "where": "printed with MNIST-1D, arXiv 2011.14439",
        },
    ],
    "mnist1d_cnn": [
        {
            "settings": {},
            "input_shape": (40,),
            "num_classes": 10,
            "parameters": 5_210,
            "where": "printed with MNIST-1D, arXiv 2011.14439",
        }
    ],
    "preact_resnet": [
        {
            "settings": {"depth": depth},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": parameters,
            "where": "derived from the blocks of the released code of arXiv 1806.05236",
        }
        for depth, parameters in ((18, 11_171_146), (34, 21_279_306))
    ],
    "random_fourier_features": [
        {
            "settings": {"num_features": 300},
            "input_shape": (20,),
            "num_classes": 10,
            "parameters": 3_000,
            "where": "derived: the features do not train",
        }
    ],
    "resnet18": [
        {
            "settings": {},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 11_171_146,
            "where": "derived: 2724 k² + 213 k + 10",
        }
    ],
    "resnet_cifar": [
        {
            "settings": {"depth": depth},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": parameters,
            "where": f"printed as {printed} in table 6 of arXiv 1512.03385",
        }
        for depth, parameters, printed in (
            (20, 269_722, ".27M"),
            (32, 464_154, ".46M"),
            (44, 658_586, ".66M"),
            (56, 853_018, ".85M"),
        )
    ],
    "transformer": [
        {
            "settings": {"defaults": "torch"},
            "input_shape": (5,),
            "num_classes": 239,
            "parameters": 455_424,
            "where": "arXiv 2201.02177: 4e5 without embeddings; 2 · 239 · 128 more, derived",
        }
    ],
    "vgg": [
        {
            "settings": {"depth": depth, "batch_norm": batch_norm},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": parameters,
            "where": "derived from table 1 of arXiv 1409.1556 with one dense layer",
        }
        for depth, batch_norm, parameters in (
            (11, True, 9_231_114),
            (16, True, 14_728_266),
            (16, False, 14_719_818),
            (19, True, 20_040_522),
        )
    ],
    "wide_resnet": [
        {
            "settings": {"depth": 28, "width": 10},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 36_479_194,
            "where": "printed as 36.5M in table 5 of arXiv 1605.07146",
        },
        {
            "settings": {"depth": 28, "width": 1, "variant": "manifold_mixup"},
            "input_shape": CIFAR,
            "num_classes": 10,
            "parameters": 370_506,
            "where": "WRN-28-1 is printed as 369,498 by pluskid/fitting-random-labels; its biases "
            "are derived",
        },
    ],
}
