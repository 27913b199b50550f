"""What a step of training is made from: sources, the order of their examples, carried state, fused steps."""
