// Batch normalization of one feature: arrays of m numbers in, arrays out. A test compares each with minidl's own.

const average = values => values.reduce((sum, v) => sum + v, 0) / values.length;

// Lines 1 to 3 of Algorithm 1. The variance is the mean square distance from the mean (divided by m).
function normalise(x, eps) {
  const mean = average(x), variance = average(x.map(v => (v - mean) ** 2)), invStd = 1 / Math.sqrt(variance + eps);
  return { mean, variance, invStd, xHat: x.map(v => (v - mean) * invStd) };
}

// Line 4: y = γ·x̂ + β.
function forward(x, gamma, beta, eps) {
  return normalise(x, eps).xHat.map(v => gamma * v + beta);
}

// Evaluation: mean and variance are constants.
function evaluate(x, mean, variance, gamma, beta, eps) {
  return x.map(v => gamma * (v - mean) / Math.sqrt(variance + eps) + beta);
}

// From g = ∂L/∂y to the gradients of x, γ and β: ∂L/∂x = γ/√(σ² + ε) · (g − mean of g − x̂ · mean of g·x̂).
function backward(g, x, gamma, eps) {
  const { invStd, xHat } = normalise(x, eps), ofG = average(g), ofGx = average(g.map((v, i) => v * xHat[i]));
  return {
    x: g.map((v, i) => gamma * invStd * (v - ofG - xHat[i] * ofGx)),
    gamma: ofGx * g.length,
    beta: ofG * g.length,
  };
}

// In evaluation each example is on its own: ∂L/∂x = γ·g/√(σ² + ε).
function backwardEvaluate(g, variance, gamma, eps) {
  return g.map(v => gamma * v / Math.sqrt(variance + eps));
}

// Batches of three, seen along (1, 1, 1): from three numbers to the two coordinates of what is left, and back.
const EYES = [[1, -1, 0].map(v => v / Math.sqrt(2)), [1, 1, -2].map(v => v / Math.sqrt(6))];
const flatten = three => EYES.map(eye => eye.reduce((sum, v, i) => sum + v * three[i], 0));
const lift = ([a, b], mean) => [0, 1, 2].map(i => mean + a * EYES[0][i] + b * EYES[1][i]);
