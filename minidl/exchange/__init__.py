"""Weights and networks from and to others: PyTorch, safetensors, ONNX. Their libraries are imported where they are used."""

from minidl.exchange import torch

__all__ = ["torch"]
