# %% [markdown]
# # Solutions of lesson 08

# %% [markdown]
# ## `running`
#
# The mean over the batch; the squares of the distances from *it*, divided by $m - 1$, as the buffer estimates the
# variance of all data. Then old and new are mixed with the shares $1-\alpha$ and α. New arrays: the given ones stay.


# %% tags=["exercise:running"]
def update_running(x, running_mean, running_var, momentum):
    """The running statistics after one more batch x (m, C): two new arrays (C,)."""
    mean = x.mean(axis=0)
    unbiased = ((x - mean) ** 2).sum(axis=0) / (len(x) - 1)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * unbiased
    return new_mean, new_var


# %% [markdown]
# ## `eval-backward`
#
# $y = \gamma (x - \text{mean})\,s + \beta$ with constants for mean and $s$: the slope of $y_i$ toward $x_i$ is
# $\gamma s$, and toward any other $x_j$ it is 0. γ has the slope $\hat x_i$ toward each $y_i$, β the slope 1, so
# their gradients are sums over the batch.


# %% tags=["exercise:eval-backward"]
def eval_backward(grad_y, x, gamma, running_mean, running_var, eps):
    """Gradients of batch norm in evaluation mode: grad_x (m, C), grad_gamma (C,), grad_beta (C,)."""
    inv_std = (running_var + eps) ** -0.5
    x_hat = (x - running_mean) * inv_std
    return grad_y * gamma * inv_std, (grad_y * x_hat).sum(axis=0), grad_y.sum(axis=0)


# %% [markdown]
# ## `fold`
#
# $\gamma (xW + b - \text{mean})\,/\sqrt{\text{var}+\varepsilon} + \beta$ with $s =
# \gamma/\sqrt{\text{var}+\varepsilon}$ is $x\,(W s) + (b - \text{mean})\,s + \beta$. One $s$ for each output, so it
# multiplies the columns of $W$, its last axis.


# %% tags=["exercise:fold"]
def fold(weight, bias, gamma, beta, mean, var, eps):
    """Weight (in, out) and bias (out,) of the linear layer that does what this one and its batch norm do."""
    scale = gamma * (var + eps) ** -0.5
    return weight * scale, (bias - mean) * scale + beta
