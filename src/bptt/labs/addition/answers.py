"""The assignment's exercise 3 in words: what the report says beside its numbers."""

ANSWERS = {
    "paths": """\
Written out over all outputs, dL/dW_hh is a double sum: for every output at step j and every earlier step t, the \
product of j - t Jacobians, each W_hh with the slope of tanh at every unit of the later state. only_paths_of_size = k \
keeps the terms with j - t = k. Each Jacobian multiplies by the weights and by a slope of at most 1; where its \
singular values are below 1, k of them shrink the gradient exponentially. That is the nearly straight line of the \
first curve on this logarithmic axis. In training the curve is what the task needs, not only what the weights let \
through: the operands of a digit lie 0 and 1 steps back, its carry 2 and more.\
""",
    "truncation": """\
Why a bptt_truncate parameter? First, cost: per output and in full, the double sum over T outputs takes about T^2/2 \
steps back, truncated T k; and all states that a path crosses have to be kept. (One sweep that adds the gradients of \
all outputs on its way needs T steps for all paths: then it is not the arithmetic that truncation saves, but memory, \
and the wait for the end of a long sequence before the first update.) Second, long paths: they carry little where \
gradients vanish, and noise where they explode, so leaving them out changes the direction little, or stabilises it. \
What it costs is what lies further back than k: nothing asks the network to keep it. It may be there all the same, as \
random recurrent weights leave an echo of what was read; then short paths learn to read the echo.

The assignment truncates per output: every output looks back over k steps, and the gradient is the sum of the parts \
of at most k Jacobians. Cutting the sequence into chunks is cheaper, and not the same: an output at the start of a \
chunk looks back over nothing, so for the same longest path most outputs see less.\
""",
    "limits": """\
What must a recurrent network do to use what it saw d steps ago? Receive a gradient that has crossed d Jacobians (the \
backward side), and keep what it saw through d steps (the forward side). With tanh and one weight matrix both hang on \
the same product of Jacobians.

The backward side: each step multiplies by W_hh and by slopes of at most 1. Where that shrinks, gradients vanish and \
an answer is never connected to its cause; where it grows, they explode. Here the recurrent weights start orthogonal, \
which leaves the shrinking to the slopes alone; uniform within 1/sqrt(H), as many programs start, they shrink it \
themselves. With either it is exponential: whatever the patience, there is a distance at which the gradient is lost.

The forward side: whatever is read meanwhile is added into the same units. The interleaved sum needs 3 steps and one \
bit, so its distance is no obstacle, however long the numbers are. To add the first digit to the last one, with others \
between, is one, long before the gradient is gone: whatever the Elman reads between changes its answer, as the picture \
of replaced digits shows. The LSTM's gates weigh, unit by unit, what is written against what is there, so that a state \
can be kept, or written anew at every step, against what comes in; along the cell the gradient is multiplied by the \
forget gate alone.\
""",
}
