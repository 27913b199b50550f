"""How fast bptt trains, beside PyTorch, JAX and ONNX Runtime: ``python -m benchmarks``, or ``make bench``.

docs/benchmarks.md says what is measured and how.
"""
