"""Tensor: a NumPy array in the graph of `autograd/engine.py`, with the operators that arrays have (lesson 01).

Each forward computation has its `backward` right under it; read `__mul__` first. The operations of neural networks are in
`ops/`, written the same way, with kernels of their own. `computed(np.add, x, y)` is x + y, which a replay can repeat.
"""

import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl._arrays import (
    as_array,
    as_float,
    as_numbers,
    check_dims,
    check_permutation,
    check_shapes,
    common_type,
    dims_of,
    frozen,
    mean_over,
    reduce_to,
    spread,
    sum_over,
    takes_once,
)
from minidl._python import Value
from minidl.autograd import Node
from minidl.kernels.jit import computed
from minidl.kernels.matmul import matmul

if TYPE_CHECKING:
    from minidl.autograd.picture import Graph

__all__ = ["Operand", "Tensor"]

Operand: TypeAlias = Union["Tensor", ArrayLike]
Dims: TypeAlias = int | tuple[int, ...] | list[int] | None


class Tensor(Value, Node):
    """An array with a gradient.

    data            anything NumPy takes. Arrays of float32, float64, integers or bools keep their type; Python numbers
                    become float32
    requires_grad   whether `backward()` fills `.grad`; for floats only

    `.data` and `.grad` are plain arrays of the same shape and type. No operation changes a float's type: an array or a
    number beside a tensor takes the tensor's, and two tensors of different float types are an error, unless just one of
    them has no dimensions.
    """

    __slots__ = ()
    __array_ufunc__ = None  # so that `array + tensor` asks the tensor, not NumPy

    def __init__(self, data: "Operand", requires_grad: bool = False):
        super().__init__(as_array(data.data if isinstance(data, Tensor) else data), requires_grad)

    # ---- leaving the graph -------------------------------------------------------------------------------------------

    def detach(self) -> "Tensor":
        """Return the same data, outside the graph: nothing flows back through it."""
        return Tensor(self.data)

    def numpy(self) -> np.ndarray:
        """Return the data as an array (not a copy); tensors that need a gradient must be detached first."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy: the tensor needs a gradient; take .detach().numpy(), or .data to work on the array"
            )
        return self.data

    # ---- what it looks like ------------------------------------------------------------------------------------------

    @property
    def T(self) -> "Tensor":
        """All dimensions in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def __array__(self, dtype=None, copy=None):
        """What `np.asarray(tensor)` and plotting libraries ask for; as `numpy()`."""
        return np.asarray(self.numpy(), dtype, copy=copy)

    def __repr__(self) -> str:
        values = np.array2string(self.data, precision=4, separator=", ", prefix="Tensor(", threshold=100)
        made_by = f", op={self.op}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({values}, shape={self.shape}, dtype={self.dtype}{made_by})"

    def graph(self, /, **names: "Tensor") -> "Graph":
        """Draw the operations that led here, and the gradients that have arrived: in a notebook a picture, elsewhere text.

        Take it before `backward()`; shown again after, it has the gradients. `names` label tensors: `loss.graph(w=w, b=b)`.
        """
        from minidl.autograd.picture import Graph

        return Graph(self, names)

    # ---- arithmetic: elementwise, with NumPy's broadcasting ----------------------------------------------------------

    def __add__(self, other: Operand) -> "Tensor":
        a, b = _operands("add", self, other)

        def backward(grad):
            return _reduce(grad, a), _reduce(grad, b)

        return Tensor._from_op(computed(np.add, a.data, b.data), (a, b), backward)

    def __sub__(self, other: Operand) -> "Tensor":
        a, b = _operands("sub", self, other)

        def backward(grad):
            return _reduce(grad, a), _reduce(computed(np.negative, grad), b)

        return Tensor._from_op(computed(np.subtract, a.data, b.data), (a, b), backward)

    def __mul__(self, other: Operand) -> "Tensor":
        a, b = _operands("mul", self, other)

        def backward(grad):
            return _reduce(computed(np.multiply, grad, b.data), a), _reduce(computed(np.multiply, grad, a.data), b)

        return Tensor._from_op(computed(np.multiply, a.data, b.data), (a, b), backward)

    def __truediv__(self, other: Operand) -> "Tensor":
        a, b = _operands("div", self, other)
        y = computed(np.true_divide, as_float(a.data), as_float(b.data))

        def backward(grad):
            grad_a = computed(np.true_divide, grad, b.data)
            grad_b = computed(np.multiply, computed(np.negative, grad_a), y) if b.requires_grad else None
            return _reduce(grad_a, a), _reduce(grad_b, b)

        return Tensor._from_op(y, (a, b), backward)

    def __pow__(self, other: Operand) -> "Tensor":
        a, b = _operands("pow", self, other)
        y = computed(operator.pow, a.data, b.data)

        def backward(grad):
            grad_a = grad_b = None
            if a.requires_grad:  # x⁰ is flat, also at 0, which has no power −1
                grad_a = _reduce(computed(lambda g, a, b: g * b * a ** (b - (b != 0)), grad, a.data, b.data), a)
            if b.requires_grad:  # else a may have no logarithm
                grad_b = _reduce(computed(_slope_of_power, grad, y, a.data, b.data), b)
            return grad_a, grad_b

        return Tensor._from_op(y, (a, b), backward)

    def __neg__(self) -> "Tensor":
        def backward(grad):
            return (computed(np.negative, grad),)

        return Tensor._from_op(computed(np.negative, self.data), (self,), backward)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Operand) -> "Tensor":
        a, b = _operands("sub", self, other)
        return b - a

    def __rtruediv__(self, other: Operand) -> "Tensor":
        a, b = _operands("div", self, other)
        return b / a

    def __rpow__(self, other: Operand) -> "Tensor":
        a, b = _operands("pow", self, other)
        return b**a

    def exp(self) -> "Tensor":
        """Compute eˣ, element by element."""
        y = computed(np.exp, as_float(self.data))

        def backward(grad):
            return (computed(np.multiply, grad, y),)

        return Tensor._from_op(y, (self,), backward)

    def log(self) -> "Tensor":
        """Compute the natural logarithm, element by element."""
        x = self.data

        def backward(grad):
            return (computed(np.true_divide, grad, x),)

        return Tensor._from_op(computed(np.log, as_float(x)), (self,), backward)

    def to(self, dtype: DTypeLike) -> "Tensor":
        """Convert to another type; the gradient is converted back. Integers have none."""
        try:
            own, data = self.data.dtype, as_array(computed(np.ndarray.astype, self.data, dtype))
        except TypeError:
            raise TypeError(f"to: got {dtype!r}; it must be float32, float64 or an integer type") from None

        def backward(grad):
            return (computed(np.ndarray.astype, grad, own),)

        return Tensor._from_op(data, (self if data.dtype.kind == "f" else self.detach(),), backward)

    # ---- matrices ----------------------------------------------------------------------------------------------------

    def __matmul__(self, other: Operand) -> "Tensor":
        """Matrix product. Two matrices go to the threaded product, all other shapes to NumPy's `matmul`."""
        a, b = _operands("matmul", self, other, elementwise=False)
        if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
            raise ValueError(
                f"matmul: {a.shape} @ {b.shape}; the last size of the left must equal the last but one of the right"
            )
        if not (a.ndim == b.ndim == 2 and a.dtype.kind == "f"):
            check_shapes("matmul of stacks", a.shape[:-2], b.shape[:-2])
            return _matmul_nd(a, b)

        def backward(grad):
            grad_a = matmul(grad, b.data.T) if a.requires_grad else None
            grad_b = matmul(a.data.T, grad) if b.requires_grad else None
            return grad_a, grad_b

        return Tensor._from_op(matmul(a.data, b.data), (a, b), backward)

    def __rmatmul__(self, other: Operand) -> "Tensor":
        a, b = _operands("matmul", self, other, elementwise=False)
        return b @ a

    # ---- reductions: `dim` and `keepdim` as in PyTorch; NumPy's names, `axis` and `keepdims`, mean the same ----------

    def sum(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None
    ) -> "Tensor":
        """Sum over all elements, or over the dimension or dimensions `dim`; of integers and bools as int64."""
        shape, keepdim = self.data.shape, keepdim if keepdims is None else keepdims
        dims = dims_of("sum", dim if axis is None else axis, shape)

        def backward(grad):
            return (computed(lambda grad: spread(grad, shape, dims, keepdim).copy(), grad),)

        return Tensor._from_op(computed(sum_over, self.data, dims, keepdim), (self,), backward)

    def mean(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None
    ) -> "Tensor":
        """Average over all elements, or over the dimension or dimensions `dim`; of integers and bools as float32."""
        x, keepdim = self.data, keepdim if keepdims is None else keepdims
        shape, dims = x.shape, dims_of("mean", dim if axis is None else axis, x.shape, empty=False)
        share = x.dtype.type(1 / math.prod(shape if dims is None else [shape[d] for d in dims]))

        def backward(grad):
            return (computed(np.multiply, spread(grad, shape, dims, keepdim), share),)

        return Tensor._from_op(computed(mean_over, x, dims, keepdim), (self,), backward)

    def max(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None
    ) -> "Tensor":
        """Return the largest element, or the largest along `dim`; several largest ones share the gradient equally."""
        x, keepdim = self.data, keepdim if keepdims is None else keepdims
        dims = dims_of("max", dim if axis is None else axis, x.shape, empty=False)
        y = computed(np.max, x, dims, None, keepdim)

        def backward(grad):
            def shared(grad, x, y):
                largest = x == spread(y, x.shape, dims, keepdim)
                share = largest / largest.sum(dims, keepdims=True).astype(x.dtype)
                return spread(grad, x.shape, dims, keepdim) * share

            return (computed(shared, grad, x, y),)

        return Tensor._from_op(y, (self,), backward)

    # ---- shapes ------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> "Tensor":
        """Give the same elements another shape; one size may be −1."""
        old = self.data.shape

        def backward(grad):
            return (computed(np.reshape, grad, old),)

        try:
            y = computed(np.ndarray.reshape, self.data, *shape)
        except (ValueError, TypeError) as error:
            raise ValueError(f"reshape: the tensor is {old}: {error}; the product of all sizes must stay") from None
        return Tensor._from_op(y, (self,), backward)

    def permute(self, *dims: Any) -> "Tensor":
        """Reorder the dimensions: the result's dimension i is dimension dims[i] of self."""
        dims = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
        check_permutation(dims, self.shape)
        back = np.argsort([d % self.ndim for d in dims])

        def backward(grad):
            return (grad.transpose(back),)

        return Tensor._from_op(self.data.transpose(dims), (self,), backward)

    def transpose(self, *dims: int) -> "Tensor":
        """Swap two dimensions (PyTorch's meaning); with none, or all of them, permute as NumPy does."""
        if len(dims) != 2:
            return self.permute(*dims) if dims else self.T
        check_dims("transpose", dims, self.shape)
        order = list(range(self.ndim))
        order[dims[0]], order[dims[1]] = order[dims[1]], order[dims[0]]
        return self.permute(*order)

    def __getitem__(self, index: Any) -> "Tensor":
        """NumPy's indexing: slices, integers, masks, integer arrays; an element taken twice collects both gradients."""
        shape, dtype = self.data.shape, self.data.dtype

        def backward(grad):
            return (computed(_put_back, grad, index, shape, dtype),)

        try:
            index = frozen(index, lambda array: computed(np.array, array))
            y = computed(operator.getitem, self.data, index)
        except (IndexError, TypeError) as error:
            raise IndexError(f"getitem: the tensor is {shape}: {error}; indices must be as for an array") from None
        return Tensor._from_op(y, (self,), backward)


# ---- helpers -----------------------------------------------------------------------------------------------------------


def _operands(op, a, other, elementwise=True):
    """The two sides of an operator as tensors of one type (see Tensor)."""
    data = a.data if type(a.data) is np.ndarray else a._settle()
    array = other._settle() if isinstance(other, Tensor) else as_numbers(op, other)
    if elementwise and data.shape != array.shape:
        check_shapes(op, data.shape, array.shape)
    if isinstance(other, Tensor):
        if data.dtype == array.dtype:
            return a, other
        dtype = common_type(op, data, array)
        return (a if a.dtype == dtype else a.to(dtype)), (other if other.dtype == dtype else other.to(dtype))
    if data.dtype.kind == "f":
        return a, Tensor(array if array.dtype == data.dtype else computed(np.ndarray.astype, array, data.dtype))
    if array.dtype.kind == "f":
        return a.to(np.float32), Tensor(array.astype(np.float32))
    dtype = np.result_type(data.dtype, other if isinstance(other, int) else array)
    return a.to(dtype), Tensor(np.asarray(other, dtype))  # a Python int that does not fit raises OverflowError


def _reduce(grad, operand):
    if not operand.requires_grad:
        return None
    return grad if grad.shape == operand.data.shape else computed(reduce_to, grad, operand.data.shape)


def _slope_of_power(grad, y, a, b):
    """∂b of y = a**b; a power of 0 stays 0, so there the slope is 0."""
    flat = (a == 0) & (b >= 0)
    return grad * y * np.log(np.where(flat, a.dtype.type(1), a))


def _put_back(grad, index, shape, dtype):
    """Return the gradient of an array of which the elements at `index` have got one."""
    grad_x = np.zeros(shape, dtype)
    if takes_once(index):
        grad_x[index] = grad
    else:
        np.add.at(grad_x, index, grad)
    return grad_x


def _matmul_nd(a, b):
    """np.matmul for vectors and stacks of matrices. A vector is a matrix of one row, or of one column."""

    def backward(grad):
        left = a.data if a.ndim > 1 else a.data[None]
        right = b.data if b.ndim > 1 else b.data[:, None]
        shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
        grad = computed(np.reshape, grad, shape)
        grad_left = computed(np.matmul, grad, right.swapaxes(-1, -2))
        grad_right = computed(np.matmul, left.swapaxes(-1, -2), grad)
        reduced = computed(reduce_to, grad_left, left.shape), computed(reduce_to, grad_right, right.shape)
        return reduced[0].reshape(a.shape), reduced[1].reshape(b.shape)

    return Tensor._from_op(computed(np.matmul, a.data, b.data), (a, b), backward)
