"""What learners get wrong in lesson 12."""

import math


def without_the_half(gain, ratio):
    return int(math.log(ratio) / abs(math.log(gain)))


def of_the_square(gain, ratio):
    return int(math.log(ratio) / abs(math.log(gain**2 / 2)))


def not_whole(gain, ratio):
    return math.log(ratio) / abs(math.log(gain / 2**0.5))


def only_growth(gain, ratio):
    return max(0, int(math.log(ratio) / math.log(gain / 2**0.5)))


def one_too_many(gain, ratio):
    return math.ceil(math.log(ratio) / abs(math.log(gain / 2**0.5)))


def second_moment(f, slope, z):
    return (slope(z) ** 2).mean() / (f(z) ** 2).mean()


def mean_slope(f, slope, z):
    return slope(z).mean() ** 2 / f(z).var()


def upside_down(f, slope, z):
    return f(z).var() / (slope(z) ** 2).mean()


def no_division(f, slope, z):
    return (slope(z) ** 2).mean()


def of_the_size(f, slope, z):
    return ((slope(z) ** 2).mean() / f(z).var()) ** 0.5


def one_too_few(gain, ratio):
    return int(math.log(ratio) / abs(math.log(gain / 2**0.5))) - 1


def with_its_sign(gain, ratio):
    return math.floor(math.log(ratio) / math.log(gain / 2**0.5))


def two_bases(gain, ratio):
    return int(math.log10(ratio) / abs(math.log(gain / 2**0.5)))


def variance_of_the_slope(f, slope, z):
    return slope(z).var() / f(z).var()


def square_of_f(f, slope, z):
    return (f(z) ** 2).mean() / f(z).var()


def not_averaged(f, slope, z):
    return slope(z) ** 2 / f(z).var()


WRONG = {
    "deepest": [
        ((without_the_half,), "the half that ReLU cuts off"),
        ((of_the_square,), "the factor of the *square*"),
        ((not_whole,), "whole numbers"),
        ((only_growth,), "it must stay above 1/r"),
        ((one_too_many,), "one too many"),
        ((one_too_few,), "one too few"),
        ((with_its_sign,), "take it without its sign"),
        ((two_bases,), "different bases"),
    ],
    "branch_scale": [
        ((lambda blocks, growth: growth ** (1 / blocks) - 1,), "this is α²"),
        ((lambda blocks, growth: ((growth - 1) / blocks) ** 0.5,), "they multiply"),
        ((lambda blocks, growth: growth ** (1 / (2 * blocks)),), "the branch is only a part of it"),
        ((lambda blocks, growth: growth ** (1 / (2 * blocks)) - 1,), "variances are what adds up"),
        ((lambda blocks, growth: blocks**-0.5,), "`growth` must count"),
        ((lambda blocks, growth: (growth ** (2 / blocks) - 1) ** 0.5,), "not of the size"),
        ((lambda blocks, growth: (growth - 1) ** 0.5,), "one block do all the growth"),
        ((lambda blocks, growth: (math.log(growth) / blocks) ** 0.5,), "only near α²"),
        ((lambda blocks, growth: (growth ** (1 / (blocks - 1)) - 1) ** 0.5,), "one block less"),
    ],
    "explosion": [
        ((second_moment,), "what it divides by is Var[f]"),
        ((mean_slope,), "squares are averaged"),
        ((upside_down,), "upside down"),
        ((no_division,), "leaves out the division"),
        ((of_the_size,), "the factor of the size"),
        ((variance_of_the_slope,), "the variance of the slope"),
        ((square_of_f,), "the mean square of f itself"),
        ((not_averaged,), "the factor of each sample"),
    ],
}
