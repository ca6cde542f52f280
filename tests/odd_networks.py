"""Small networks, each with something unusual that an export may get wrong."""

from search_spaces import Arch, Stage


def residual(layout, *stages, **settings):
    stem = {"stem_channels": 16, "stem_kernel": 3, "activation": "relu", "head_channels": 0}
    return Arch(stages, resolution=32, layout=layout, **stem | settings)


def small(*stages, **settings):
    return Arch(stages, **{"stem_channels": 8, "head_channels": 32, "resolution": 32, **settings})


ODD = {
    "same padding": small(Stage("mbconv", 5, 2, 4, 16, 2, 0.25), Stage("fused_mbconv", 3, 2, 4, 24, 1), padding="same"),
    "squeezes": small(Stage("fused_mbconv", 3, 1, 1, 8, 2, 0.5), Stage("mbconv", 3, 2, 6, 16, 2, 0.3)),
    "plain": small(Stage("separable", 3, 2, 1, 16, 2), activation="relu6", head_channels=0),
    "no skip": small(Stage("mbconv", 3, 1, 1, 8, 1, skip=False), Stage("fused_mbconv", 3, 1, 4, 8, 2, skip=False)),
    "norm": small(Stage("mbconv", 3, 2, 4, 16, 2, 1.0), norm_eps=1e-3, norm_momentum=0.01, activation="hardswish"),
    "basic": residual("resnet", Stage("basic", 3, 1, 1, 16, 1), Stage("basic", 5, 2, 1, 24, 2), stem_pool=True),
    "bottleneck": residual("resnet", Stage("bottleneck", 3, 2, 2, 32, 2, 0.5, groups=4), head_channels=48),
    "preact": residual("resnet_v2", Stage("preact_bottleneck", 3, 2, 4, 64, 2), stem_pool=True),
    "deep": small(*[Stage("mbconv", 3, 2, 2, 8, 1)] * 6, resolution=64),
}
