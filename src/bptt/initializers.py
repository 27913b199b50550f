"""First values of parameters.

An initialiser is called as ``initializer(rng, shape, dtype, gates=G)``. A packed weight (n, G*H) is made of G
blocks (n, H), one a gate, and each block is drawn on its own with its own fans; so is each part (H,) of a
vector (G*H,). Numbers are drawn in float64 and then cast: with one seed, a float32 and a float64 network
start from the same weights up to rounding.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_choice, check_dtype, check_number, check_whole
from bptt.configs import Configured, from_config
from bptt.errors import InvalidInput, InvalidType

Block = npt.NDArray[np.float64]


def _set(initializer: Initializer, name: str, value: Any) -> None:
    """Store a checked value in a frozen object; only from __post_init__."""
    object.__setattr__(initializer, name, value)


@dataclass(frozen=True)
class Initializer(Configured):
    """How one parameter gets its first values; subclasses say how one gate's block does."""

    def __call__(
        self, rng: np.random.Generator, shape: Sequence[int], dtype: npt.DTypeLike = "float64", gates: int = 1
    ) -> Array:
        """Return a new parameter.

        Parameters
        ----------
        rng : numpy.random.Generator
            Advanced by what is drawn; the same state gives the same bits.
        shape : (n, G*H) or (G*H,)
            Shape of the parameter.
        dtype : {"float64", "float32"}
            Of the result.
        gates : int
            G, the number of blocks side by side on the last axis.

        Returns
        -------
        ndarray
            C-contiguous, of `shape` and `dtype`.

        Raises
        ------
        InvalidInput
            A shape that this initialiser cannot fill, or columns that do not divide into `gates` blocks.
        InvalidType
            `rng` is not a Generator.
        """
        if not isinstance(rng, np.random.Generator):
            raise InvalidType(
                f"rng must be a NumPy Generator, such as numpy.random.default_rng(0). Got {rng!r}"
            )
        sizes = tuple(check_whole("shape", size) for size in shape)
        count = check_whole("gates", gates)
        if len(sizes) not in (1, 2):
            raise InvalidInput(f"shape must be (n, G*H) or (G*H,). Got {sizes}")
        if sizes[-1] % count:
            raise InvalidInput(f"shape must end in G*H columns with G = {count} gates. Got {sizes}")
        block = (*sizes[:-1], sizes[-1] // count)
        made = np.concatenate(self._blocks(rng, block, count), axis=-1)
        return made.astype(check_dtype(dtype))

    def _blocks(self, rng: np.random.Generator, shape: tuple[int, ...], gates: int) -> list[Block]:
        """Return the values of every gate."""
        return [self._block(rng, shape) for _ in range(gates)]

    @abstractmethod
    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        """Return the values of one gate, (n, H) or (H,)."""


@dataclass(frozen=True)
class Normal(Initializer):
    """Independent normal numbers of mean 0.

    Parameters
    ----------
    sd : float
        Standard deviation, at least 0. The weather lab takes 0.001 for its weights.
    """

    sd: float
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _set(self, "sd", check_number("sd", self.sd, least=0))

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        return self.sd * rng.standard_normal(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Independent uniform numbers in -bound..bound.

    Parameters
    ----------
    bound : float, optional
        At least 0. None takes 1/sqrt(fan) of each block.
    fan : {"out", "in"}
        Which fan, where `bound` is None: "out", the H columns of the block, as PyTorch's ``RNN``, ``LSTM``
        and ``GRU`` take for weights and biases; "in", the n rows, as its ``Linear`` takes for its weight.
    """

    bound: float | None = None
    fan: str = "out"
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        if self.bound is not None:
            _set(self, "bound", check_number("bound", self.bound, least=0))
        check_choice("fan", self.fan, ("out", "in"))

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        bound = self.bound
        if bound is None:
            rows, columns = (None, shape[0]) if len(shape) == 1 else shape
            fan = columns if self.fan == "out" else rows
            if fan is None:
                raise InvalidInput(
                    f'shape must have rows for fan="in". Got {shape}: set the bound for a vector'
                )
            bound = 1 / math.sqrt(fan)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Glorot(Initializer):
    """Variance 2 / (rows + columns) in each gate's block (n, H), so that signals keep their size both ways.

    Parameters
    ----------
    uniform : bool
        Uniform numbers within sqrt(6 / (n + H)), or normal ones of standard deviation sqrt(2 / (n + H)).

    Notes
    -----
    Keras takes the fans of the packed (n, G*H) weight instead: a gated cell's input weights come out smaller.

    References
    ----------
    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 16.
    """

    uniform: bool = True
    kind: ClassVar[str] = "glorot"

    def __post_init__(self) -> None:
        if not isinstance(self.uniform, bool):
            raise InvalidType(f"uniform must be True or False. Got {self.uniform!r}")

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        rows, columns = _matrix(self, shape)
        if self.uniform:
            bound = math.sqrt(6 / (rows + columns))
            return rng.uniform(-bound, bound, shape)
        return math.sqrt(2 / (rows + columns)) * rng.standard_normal(shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random orthogonal matrix a gate, times `gain`.

    Parameters
    ----------
    gain : float
        Above 0: every singular value. A block with more rows than columns gets orthogonal columns, one with
        more columns than rows orthogonal rows.
    spectral_radius : float, optional
        Above 0, for square blocks and instead of a gain: the largest absolute eigenvalue. All eigenvalues of
        an orthogonal matrix lie on the unit circle, so this is the gain by another name.

    References
    ----------
    Saxe, McClelland and Ganguli 2014, arXiv:1312.6120. Mezzadri 2007, arXiv:math-ph/0609050, section 5, for
    the signs that make the QR decomposition of a normal matrix uniform over the orthogonal group.
    """

    gain: float = 1.0
    spectral_radius: float | None = None
    kind: ClassVar[str] = "orthogonal"

    def __post_init__(self) -> None:
        _set(self, "gain", check_number("gain", self.gain, above=0))
        if self.spectral_radius is not None:
            _set(self, "spectral_radius", check_number("spectral_radius", self.spectral_radius, above=0))
            if self.gain != 1:
                raise InvalidInput(f"gain must stay 1 where spectral_radius is set. Got gain {self.gain:g}")

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        rows, columns = _matrix(self, shape, square=self.spectral_radius is not None)
        tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        size = self.gain if self.spectral_radius is None else self.spectral_radius
        made: Block = size * (q if rows >= columns else q.T)
        return made


@dataclass(frozen=True)
class Identity(Initializer):
    """`scale` times the identity matrix in each gate's block, which must be square.

    References
    ----------
    Le, Jaitly and Hinton 2015, arXiv:1504.00941: a recurrent ReLU network that starts by remembering.
    """

    scale: float = 1.0
    kind: ClassVar[str] = "identity"

    def __post_init__(self) -> None:
        _set(self, "scale", check_number("scale", self.scale))

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:  # noqa: ARG002  # not random
        rows, _ = _matrix(self, shape, square=True)
        return self.scale * np.eye(rows)


@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere.

    Parameters
    ----------
    value : float or sequence of float
        One number, or one a gate: ``Constant((0, 1, 0, 0))`` opens an LSTM's forget gate (gates i, f, g, o).

    References
    ----------
    Gers, Schmidhuber and Cummins 2000, "Learning to forget", on the forget gate's bias.
    """

    value: float | Sequence[float] = 0.0
    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        if isinstance(self.value, (list, tuple)):
            _set(self, "value", tuple(check_number("value", each) for each in self.value))
        else:
            _set(self, "value", check_number("value", self.value))

    def _blocks(self, rng: np.random.Generator, shape: tuple[int, ...], gates: int) -> list[Block]:
        if not isinstance(self.value, tuple):
            return super()._blocks(rng, shape, gates)
        if len(self.value) != gates:
            raise InvalidInput(
                f"value must hold one number a gate, G = {gates}. Got {len(self.value)} numbers"
            )
        return [np.full(shape, each) for each in self.value]

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:  # noqa: ARG002  # not random
        return np.full(shape, self.value)


@dataclass(frozen=True)
class SpectralRadius(Initializer):
    """Another initialiser, each square block of it scaled to a chosen largest absolute eigenvalue.

    Parameters
    ----------
    inner : Initializer
        Draws the values, ``Normal(1.0)`` say, whose own size then does not matter.
    radius : float
        At least 0.

    Notes
    -----
    The eigenvalues are measured: an (H, H) block of normal numbers of deviation s has a radius of about
    s sqrt(H) only, and the smaller H, the rougher that is.

    References
    ----------
    Jaeger 2002, "A tutorial on training recurrent neural networks", on echo state networks.
    """

    inner: Initializer
    radius: float
    kind: ClassVar[str] = "spectral_radius"

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Initializer):
            raise InvalidType(f"inner must be an initialiser such as Normal(1.0). Got {self.inner!r}")
        _set(self, "radius", check_number("radius", self.radius, least=0))

    def _blocks(self, rng: np.random.Generator, shape: tuple[int, ...], gates: int) -> list[Block]:
        _matrix(self, shape, square=True)
        return [self._scaled(block) for block in self.inner._blocks(rng, shape, gates)]

    def _block(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Block:
        return self._blocks(rng, shape, 1)[0]

    def _scaled(self, block: Block) -> Block:
        found = float(np.max(np.abs(np.linalg.eigvals(block))))
        if found == 0:
            raise InvalidInput("inner must give a matrix with an eigenvalue other than 0. Got only zeros")
        return self.radius * (block / found)


INITIALIZERS: dict[str, type[Initializer]] = {
    made.kind: made for made in (Normal, Uniform, Glorot, Orthogonal, Identity, Constant, SpectralRadius)
}

# What a bare name means; Normal and SpectralRadius have no size that would be right for everybody.
NAMED: dict[str, Initializer] = {
    "uniform": Uniform(),
    "glorot": Glorot(),
    "glorot_normal": Glorot(uniform=False),
    "orthogonal": Orthogonal(),
    "identity": Identity(),
    "zeros": Constant(0.0),
}


def get_initializer(initializer: str | Initializer | Mapping[str, object]) -> Initializer:
    """Return an initialiser by name, from its configuration, or as it is.

    Parameters
    ----------
    initializer : str, dict or Initializer
        ``"orthogonal"``, ``Normal(0.1)``, or what `Initializer.to_config` wrote.

    Raises
    ------
    InvalidInput
        An unknown name or field.
    InvalidType
        Something else.
    """
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, str):
        if initializer not in NAMED:
            raise InvalidInput(
                f"initializer must be one of {', '.join(NAMED)}, or an object such as Normal(0.1). "
                f"Got {initializer!r}"
            )
        return NAMED[initializer]
    if isinstance(initializer, Mapping):
        return from_config("initializer", initializer, INITIALIZERS, {"inner": get_initializer})
    raise InvalidType(f"initializer must be a name or an object such as Normal(0.1). Got {initializer!r}")


def _matrix(initializer: Initializer, shape: tuple[int, ...], *, square: bool = False) -> tuple[int, int]:
    """Return rows and columns of a gate's block, or raise where it is a vector or not square."""
    if len(shape) != 2:
        raise InvalidInput(f"shape must be (n, G*H) for {initializer.kind}. Got a vector, {shape} a gate")
    if square and shape[0] != shape[1]:
        raise InvalidInput(
            f"shape must be (H, G*H), square a gate, for {initializer.kind}. Got {shape} a gate: "
            "take another initialiser for this weight"
        )
    return shape[0], shape[1]
