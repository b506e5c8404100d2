"""Weights and networks from and to others: PyTorch, safetensors, ONNX. Their libraries are imported where they are used."""

from minidl.exchange import onnx, torch

__all__ = ["onnx", "torch"]
