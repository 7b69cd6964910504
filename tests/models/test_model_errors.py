"""Wrong settings of a model are refused in words that say what is allowed."""

import pytest

from tfphen import models
from tfphen.core.errors import UsageError
from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import lenet_300_100, linear, mlp, random_fourier_features
from tfphen.models.densenet import densenet
from tfphen.models.recurrent import lstm
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.transformer import transformer
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet

IMAGE = (32, 32, 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.get("mpl"), "Did you mean 'mlp'"),
        (lambda: mlp((4,), 2, defaults="pytorch"), "Did you mean 'torch'"),
        (lambda: mlp((4,), 2, hidden_units=(3, 4), skip=True), "one width"),
        (lambda: mlp((4,), 2, hidden_units=3), "list of widths"),
        (
            lambda: mlp((4,), 2, hidden_units=(3, 0)),
            "`hidden_units` must be an integer",
        ),
        (lambda: mlp((4,), 2, dropout=1.0), r"`dropout` must be a finite number in \[0, 1\)"),
        (lambda: mlp((4,), 0), "`num_classes` must be an integer"),
        (lambda: mlp((4,), 2, activation="rleu"), "activation"),
        (lambda: mlp((4,), 2, kernel_initializer="he_norma"), "Did you mean 'he_normal'"),
        (lambda: mlp((4,), 2, kernel_initializer={"stddev": 1.0}), "its name"),
        (lambda: mlp((4,), 2, kernel_initializer={"name": "zeros", "stddev": 1.0}), "stddev"),
        (
            lambda: mlp((4,), 2, kernel_initializer={"name": "he_normal", "seed": 1}),
            "no seed of its own",
        ),
        (lambda: linear((4,), 2, l2=-1.0), "negative"),
        (lambda: mnist1d_cnn((4,), 2), "at least 8"),
        (lambda: mnist1d_cnn((40,), 2, channels=0), "`channels` must be an integer"),
        (lambda: lenet5((8, 8), 2), "12 by 12"),
        (lambda: lenet5((64,), 2), "takes images"),
        (lambda: lenet5((28, 28), 2, pooling="sum"), "`pooling` must be one of 'max', 'average'"),
        (lambda: convnet((7, 7), 2), "8 by 8"),
        (lambda: convnet((None, None, 3), 2), "fixed size"),
        (lambda: convnet(IMAGE, 2, width=0), "`width` must be an integer"),
        (lambda: random_fourier_features((4,), 2, num_features=0), "num_features"),
        (lambda: lenet_300_100((4,), 2, defaults="tourch"), "Did you mean 'torch'"),
        (lambda: resnet18((64,), 2), "takes images"),
        (lambda: resnet18(IMAGE, 2, width=-1), "`width` must be an integer"),
        (lambda: preact_resnet(IMAGE, 2, depth=50), "`depth` must be one of 18, 34"),
        (
            lambda: preact_resnet(IMAGE, 2, stem_strides=0),
            "`stem_strides` must be an integer",
        ),
        (lambda: resnet_cifar(IMAGE, 2, depth=18), r"`depth` is 6n \+ 2: 8, 14, 20, .* 110"),
        (lambda: resnet_cifar(IMAGE, 2, depth=2), r"`depth` is 6n \+ 2"),
        (lambda: resnet_cifar(IMAGE, 2, depth=20.0), "`depth` must be an integer"),
        (lambda: resnet_cifar(IMAGE, 2, shortcut="zero"), "'zeros', 'projection'.*'zeros'"),
        (lambda: resnet_cifar(IMAGE, 2, defaults="tf"), '`defaults` is "keras" or "torch"'),
        (lambda: wide_resnet(IMAGE, 2, depth=26), r"`depth` is 6n \+ 4: 10, 16, 22, 28"),
        (lambda: wide_resnet(IMAGE, 2, variant="orignal"), "Did you mean 'original'"),
        (lambda: wide_resnet(IMAGE, 2, dropout=-0.1), "`dropout` must be a finite number in"),
        (lambda: densenet(IMAGE, 2, depth=99), r"`depth` is 6n \+ 4: 10, 16, ..., 40, 100"),
        (lambda: densenet(IMAGE, 2, depth=12, bottleneck=False), r"`depth` is 3n \+ 4: 7, 10"),
        (lambda: densenet(IMAGE, 2, compression=0.0), r"`compression` must be in \(0, 1\]"),
        (
            lambda: densenet(IMAGE, 2, growth_rate=0),
            "`growth_rate` must be an integer",
        ),
        (lambda: densenet((3, 8), 2), "4 by 4"),
        (lambda: vgg(IMAGE, 2, depth=12), "`depth` must be one of 11, 13, 16, 19"),
        (lambda: vgg((28, 28), 2), "32 by 32"),
        (
            lambda: vgg(IMAGE, 2, last_pooling="mean"),
            "`last_pooling` must be one of",
        ),
        (lambda: lottery_convnet(IMAGE, 2, depth=3), "`depth` must be one of 2, 4, 6"),
        (lambda: lottery_convnet((4, 4), 2, depth=6), "8 by 8"),
        (lambda: transformer((5, 3), 2), "sequences of token numbers"),
        (lambda: transformer((None,), 2), "fixed length"),
        (lambda: transformer((5,), 2, width=10), "`width` must be a multiple of `heads`"),
        (
            lambda: transformer((5,), 2, vocabulary_size=0),
            "`vocabulary_size` must be an integer",
        ),
        (lambda: transformer((5,), 2, dropout=2), "`dropout` must be a finite number in"),
        (lambda: lstm((5, 3), 2), "sequences of token numbers"),
        (lambda: lstm((5,), 2, depth=0), "`depth` must be an integer"),
        (lambda: lstm((5,), 2, dropout=1), "`dropout` must be a finite number in"),
    ],
)
def test_errors_say_what_is_allowed(build, message):
    with pytest.raises(UsageError, match=message) as caught:
        build()
    assert "Received: " in str(caught.value) or "Allowed: " in str(caught.value)
