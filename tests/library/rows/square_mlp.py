"""Settings of the network with quadratic activation. `parameters` counts trainable weights."""

MODELS = {
    "square_mlp": [
        {
            "settings": {"units": 500},
            "input_shape": (194,),
            "num_classes": 97,
            "parameters": 145_500,
            "where": "derived: (2 p + p) N without biases",
        }
    ]
}
