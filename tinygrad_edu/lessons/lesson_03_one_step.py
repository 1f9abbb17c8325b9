"""
3. The loss and one step
========================

Training is one small step, repeated; this is the step, with what it promised beside what it brought.

The *loss* is one number that says how wrong the model is. Its *gradient* says, for every parameter, by how much the
loss would grow if this parameter grew. So each parameter goes a little way against its gradient: by ``lr`` times it,
where ``lr`` is the *learning rate*. The gradient even says in advance how much the loss will fall.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import load_digits
from tinygrad_edu.lessons import Lesson
from tinygrad_edu.train import StepTrace, Trainer

lesson = Lesson(__doc__)
digits = load_digits()
rows = np.random.default_rng(lesson.seed).permutation(len(digits))[:64]
x, y = tg.tensor(digits.X[rows] / 16), tg.tensor(digits.y[rows])

# %%
# A network of 64 → 16 → 10 and one batch of 64 images. `Trainer.step` is what `Trainer.fit` repeats, made visible.


def one_step(lr: float) -> StepTrace:
    """One step of plain gradient descent from the same beginning."""
    tg.manual_seed(lesson.seed)
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    return Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=lr), record="none").step(x, y)


trace = one_step(0.1)
lesson.say(trace, "\n")

# %%
# Every figure of that table can be computed again by hand. A parameter becomes value − lr · gradient, rounded once to
# float32: to the last bit. The predicted change of the loss is the sum of gradient · update over all parameters.

exact = True
for value, gradient, update in trace.rows.values():
    after = (value.astype(np.float64) - np.float64(np.float32(0.1)) * gradient).astype(np.float32)
    exact = exact and np.array_equal(after - value, update)
by_hand = sum(float(np.sum(gradient.astype(np.float64) * update)) for _, gradient, update in trace.rows.values())
lesson.say(f"updates computed again are equal: {exact}; predicted change by hand: {by_hand:.6f}\n")

# %%
# Is the gradient itself right? Shift one number after the other a little both ways and see what the loss does: slow,
# but nobody can argue with it. `gradcheck` does that in float64.

tg.manual_seed(lesson.seed)
small = nn.Sequential(nn.Linear(64, 4), nn.Tanh(), nn.Linear(4, 10)).double()
wide = x[:8].double()
right = tg.autograd.gradcheck(
    lambda *_: nn.functional.cross_entropy(small(wide), y[:8]), tuple(small.parameters()), atol=1e-6, rtol=1e-6
)
lesson.say(f"gradient equal to finite differences to 1e-6: {right}\n")

# %%
# A gradient is a promise about *small* steps. Predict: what happens to actual / predicted as the step grows?

rates = (1e-4, 1e-3, 1e-2, 1e-1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
traces = [one_step(lr) for lr in rates]
ratios = [each.actual / each.predicted for each in traces]
lesson.table([{"lr": lr, "predicted": each.predicted, "actual": each.actual, "actual / predicted": ratio}
              for lr, each, ratio in zip(rates, traces, ratios, strict=True)])  # fmt: skip

# %%
# Along the direction of the step, the loss is a curve and the promise its tangent. Far out the curve turns up again:
# too large a step makes the loss *worse*, although every parameter went the way that its gradient showed.

far = np.linspace(0, 20, 161)
curve = [one_step(float(lr)).loss_after if lr else trace.loss for lr in far]
lowest = float(far[int(np.argmin(curve))])
figure, (left, middle) = lesson.figure(1, 2, width=10.5, height=3.8, title="One step of gradient descent")
left.plot(far, curve, color="#1f6fb4", label="the loss after a step of this size")
slope = traces[3].predicted / 0.1
left.plot(far, trace.loss + slope * far, color="#d1622b", ls=(0, (4, 3)), label="what the gradient promises")
left.plot([0], [trace.loss], "o", color="#222222")
left.set(xlabel="learning rate", ylabel="loss", ylim=(min(curve) - 0.3, max(curve) + 0.3))
left.set_title("a curve and its tangent")
left.legend(loc="upper center")
middle.semilogx(rates, ratios, "o-", color="#1f6fb4")
middle.axhline(1, color="#8a8a8a", lw=1.0, ls=(0, (4, 3)))
middle.set(xlabel="learning rate", title="actual / predicted change of the loss")

# %%
# What was shown. Try: ``lr`` of the table above in `one_step`, or a batch of one image.

lesson.claim("every update is −lr · gradient to the last bit", exact)
lesson.claim("predicted change, by hand and by the trace, differ by", abs(by_hand - trace.predicted), at_most=1e-9)
lesson.claim("gradcheck to 1e-6", right)
lesson.claim("actual / predicted at lr = 1e-4", ratios[0], at_least=0.95, at_most=1.05)
lesson.claim("learning rate at which one step brings most", lowest, at_least=0.1, at_most=19.0)
lesson.end()
