"""Streams: the kernels that carry one or many resident states a step on."""
