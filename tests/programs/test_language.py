"""Language models as people write them for PyTorch, run in both libraries from the same weights: equal losses.

Each program is one function of the module `torch`; it is called with PyTorch and with tinygrad_edu.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from .text import characters, words
from .twins import Losses, copy_weights, libraries


def batchify(torch: Any, tokens: Any, columns: int) -> Any:
    """The tokens as `columns` columns side by side; what is left over is cut off."""
    data = torch.tensor(tokens)
    rows = data.size(0) // columns
    return data.narrow(0, 0, rows * columns).view(columns, -1).t().contiguous()


def get_batch(source: Any, i: int, length: int) -> tuple[Any, Any]:
    """Rows i … of the columns, and what comes after each entry, as one vector."""
    length = min(length, len(source) - 1 - i)
    return source[i : i + length], source[i + 1 : i + 1 + length].view(-1)


def recurrent_model(torch: Any, kind: str, tokens: int, tied: bool) -> Any:
    """An encoder, a recurrent net of two layers, a decoder whose weight may be the encoder's."""
    nn, F = torch.nn, torch.nn.functional

    class RNNModel(nn.Module):  # type: ignore[misc, name-defined]
        """Embedding → recurrence → logarithms of probabilities."""

        def __init__(self, size: int = 24, layers: int = 2) -> None:
            super().__init__()
            self.tokens, self.size, self.layers = tokens, size, layers
            self.drop = nn.Dropout(0.0)
            self.encoder = nn.Embedding(tokens, size)
            if kind in ("LSTM", "GRU"):
                self.rnn = getattr(nn, kind)(size, size, layers, dropout=0.0)
            else:
                nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[kind]
                self.rnn = nn.RNN(size, size, layers, nonlinearity=nonlinearity, dropout=0.0)
            self.decoder = nn.Linear(size, tokens)
            if tied:
                self.decoder.weight = self.encoder.weight
            self.init_weights()

        def init_weights(self) -> None:
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)
            nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

        def forward(self, input: Any, hidden: Any) -> tuple[Any, Any]:
            emb = self.drop(self.encoder(input))
            output, hidden = self.rnn(emb, hidden)
            decoded = self.decoder(self.drop(output)).view(-1, self.tokens)
            return F.log_softmax(decoded, dim=1), hidden

        def init_hidden(self, bsz: int) -> Any:
            weight = next(self.parameters())
            if kind == "LSTM":
                return (
                    weight.new_zeros(self.layers, bsz, self.size),
                    weight.new_zeros(self.layers, bsz, self.size),
                )
            return weight.new_zeros(self.layers, bsz, self.size)

    return RNNModel()


def word_language_model(torch: Any, kind: str, tied: bool, epochs: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """Truncated backpropagation through time, clipping, gradient steps by hand; then the likeliest words."""
    nn = torch.nn
    tokens, vocabulary = words()
    train_data = batchify(torch, tokens[:240], 4)
    val_data = batchify(torch, tokens[240:], 2)
    torch.manual_seed(1111)
    model = copy_weights(torch, recurrent_model(torch, kind, len(vocabulary), tied), weights)
    criterion = nn.NLLLoss()

    def repackage_hidden(h: Any) -> Any:
        if isinstance(h, torch.Tensor):
            return h.detach()
        return tuple(repackage_hidden(v) for v in h)

    def evaluate(source: Any) -> float:
        model.eval()
        total = 0.0
        hidden = model.init_hidden(2)
        with torch.no_grad():
            for i in range(0, source.size(0) - 1, 10):
                data, targets = get_batch(source, i, 10)
                output, hidden = model(data, hidden)
                hidden = repackage_hidden(hidden)
                total += len(data) * criterion(output, targets).item()
        return total / (len(source) - 1)

    losses, lr, best = [], 4.0, None
    for _ in range(epochs):
        model.train()
        hidden = model.init_hidden(4)
        for i in range(0, train_data.size(0) - 1, 10):
            data, targets = get_batch(train_data, i, 10)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(data, hidden)
            loss = criterion(output, targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            losses.append(loss.item())
        validation = evaluate(val_data)
        if best is None or validation < best:
            best = validation
        else:
            lr /= 4.0
        losses.append(validation)
    model.eval()
    hidden, word = model.init_hidden(1), torch.zeros(1, 1, dtype=torch.long)
    likeliest, drawn = [], []
    with torch.no_grad():
        for _ in range(12):
            output, hidden = model(word, hidden)
            word_weights = output.squeeze().div(1.0).exp().cpu()
            drawn.append(torch.multinomial(word_weights, 1)[0].item())
            word.fill_(word_weights.argmax().item())
            likeliest.append(vocabulary[word.item()])
    assert all(0 <= i < len(vocabulary) for i in drawn)
    return losses, likeliest


@pytest.mark.parametrize(("kind", "tied"), [("LSTM", False), ("GRU", True), ("RNN_TANH", False), ("RNN_RELU", True)])
def test_word_language_models_lose_the_same_at_every_step(kind: str, tied: bool) -> None:
    weights: dict[str, Any] = {}
    (ours, said), (theirs, answer) = (word_language_model(torch, kind, tied, 9, weights) for torch in libraries())
    assert len(ours) >= 50
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert said == answer
    assert np.mean(ours[-8:-1]) < 0.95 * ours[0]


def transformer_model(torch: Any, tokens: int) -> Any:
    """A Transformer as language model: positions added, future masked."""
    nn, F = torch.nn, torch.nn.functional

    class PositionalEncoding(nn.Module):  # type: ignore[misc, name-defined]
        """Sines and cosines of different wavelengths."""

        def __init__(self, d_model: int, dropout: float = 0.0, max_len: int = 50) -> None:
            super().__init__()
            self.dropout = nn.Dropout(p=dropout)
            pe = torch.zeros(max_len, d_model)
            position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
            div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
            pe[:, 0::2] = torch.sin(position * div_term)
            pe[:, 1::2] = torch.cos(position * div_term)
            pe = pe.unsqueeze(0).transpose(0, 1)
            self.register_buffer("pe", pe)

        def forward(self, x: Any) -> Any:
            x = x + self.pe[: x.size(0), :]
            return self.dropout(x)

    class TransformerModel(nn.Transformer):  # type: ignore[misc, name-defined]
        """The encoder of a Transformer between an embedding and a linear map; the decoder is that map."""

        def __init__(self, size: int = 16, heads: int = 2, hidden: int = 32, layers: int = 2) -> None:
            super().__init__(d_model=size, nhead=heads, dim_feedforward=hidden, num_encoder_layers=layers, dropout=0.0)
            self.model_type = "Transformer"
            self.src_mask = None
            self.pos_encoder = PositionalEncoding(size)
            self.input_emb = nn.Embedding(tokens, size)
            self.ninp = size
            self.decoder = nn.Linear(size, tokens)
            nn.init.uniform_(self.input_emb.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)
            nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

        def forward(self, src: Any, has_mask: bool = True) -> Any:
            if has_mask:
                if self.src_mask is None or self.src_mask.size(0) != len(src):
                    self.src_mask = torch.log(torch.tril(torch.ones(len(src), len(src))))
            else:
                self.src_mask = None
            src = self.input_emb(src) * math.sqrt(self.ninp)
            src = self.pos_encoder(src)
            output = self.encoder(src, mask=self.src_mask)
            return F.log_softmax(self.decoder(output), dim=-1)

    return TransformerModel()


def transformer_language_model(torch: Any, steps: int, weights: dict[str, Any]) -> Losses:
    """Adam with a schedule, on characters."""
    tokens, vocabulary = characters()
    data = batchify(torch, tokens, 8)
    torch.manual_seed(5)
    model = copy_weights(torch, transformer_model(torch, len(vocabulary)), weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 20, gamma=0.5)
    losses = []
    model.train()
    for step in range(steps):
        source, targets = get_batch(data, 20 * step % (len(data) - 21), 20)
        optimizer.zero_grad()
        output = model(source).view(-1, len(vocabulary))
        loss = torch.nn.functional.nll_loss(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_a_transformer_language_model_loses_the_same_at_every_step() -> None:
    weights: dict[str, Any] = {}
    ours, theirs = (transformer_language_model(torch, 60, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert np.mean(ours[-5:]) < 0.85 * ours[0]


def gpt(torch: Any, vocabulary: int, block: int, by_hand: bool) -> Any:
    """A GPT: blocks of causal self-attention and two linear maps, the embedding tied to the last map."""
    nn, F = torch.nn, torch.nn.functional
    width, heads, layers = 24, 3, 2

    class CausalSelfAttention(nn.Module):  # type: ignore[misc, name-defined]
        """All heads at once; masked by hand, or by `scaled_dot_product_attention`."""

        def __init__(self) -> None:
            super().__init__()
            self.c_attn = nn.Linear(width, 3 * width)
            self.c_proj = nn.Linear(width, width)
            self.register_buffer("bias", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

        def forward(self, x: Any) -> Any:
            B, T, C = x.size()
            q, k, v = self.c_attn(x).split(width, dim=2)
            k = k.view(B, T, heads, C // heads).transpose(1, 2)
            q = q.view(B, T, heads, C // heads).transpose(1, 2)
            v = v.view(B, T, heads, C // heads).transpose(1, 2)
            if by_hand:
                att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
                att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
                y = F.softmax(att, dim=-1) @ v
            else:
                y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
            return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    class NewGELU(nn.Module):  # type: ignore[misc, name-defined]
        """The approximation by tanh, written out."""

        def forward(self, x: Any) -> Any:
            return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """Normalise, attend, add; normalise, map, add."""

        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(width)
            self.attn = CausalSelfAttention()
            self.ln_2 = nn.LayerNorm(width)
            self.mlp = nn.ModuleDict({
                "c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width),
                "act": NewGELU() if by_hand else nn.GELU(approximate="tanh"), "dropout": nn.Dropout(0.0),
            })  # fmt: skip
            m = self.mlp
            self.mlpf = lambda x: m.dropout(m.c_proj(m.act(m.c_fc(x))))

        def forward(self, x: Any) -> Any:
            x = x + self.attn(self.ln_1(x))
            return x + self.mlpf(self.ln_2(x))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        """Tokens and positions → blocks → logits."""

        def __init__(self) -> None:
            super().__init__()
            self.block_size = block
            self.transformer = nn.ModuleDict({
                "wte": nn.Embedding(vocabulary, width), "wpe": nn.Embedding(block, width), "drop": nn.Dropout(0.0),
                "h": nn.ModuleList([Block() for _ in range(layers)]), "ln_f": nn.LayerNorm(width),
            })  # fmt: skip
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            self.apply(self._init_weights)
            for pn, p in self.named_parameters():
                if pn.endswith("c_proj.weight"):
                    torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * layers))

        def _init_weights(self, module: Any) -> None:
            if isinstance(module, nn.Linear):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            elif isinstance(module, nn.LayerNorm):
                torch.nn.init.zeros_(module.bias)
                torch.nn.init.ones_(module.weight)

        def configure_optimizers(self, weight_decay: float, learning_rate: float, betas: tuple[float, float]) -> Any:
            """Weights of matrix products decay; biases, norms and embeddings do not."""
            decay, no_decay = set(), set()
            for mn, m in self.named_modules():
                for pn, p in m.named_parameters(recurse=False):
                    fpn = f"{mn}.{pn}" if mn else pn
                    if pn.endswith("bias"):
                        no_decay.add(fpn)
                    elif pn.endswith("weight") and isinstance(m, (torch.nn.Linear,)):
                        decay.add(fpn)
                    elif pn.endswith("weight") and isinstance(m, (torch.nn.LayerNorm, torch.nn.Embedding)):
                        no_decay.add(fpn)
                    assert p.requires_grad
            param_dict = dict(self.named_parameters())
            decay -= {"lm_head.weight"}  # it is the embedding's
            no_decay &= param_dict.keys()
            assert len(decay & no_decay) == 0
            assert len(param_dict.keys() - (decay | no_decay)) == 0
            optim_groups = [
                {"params": [param_dict[pn] for pn in sorted(decay)], "weight_decay": weight_decay},
                {"params": [param_dict[pn] for pn in sorted(no_decay)], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas)

        def forward(self, idx: Any, targets: Any = None) -> tuple[Any, Any]:
            _b, t = idx.size()
            assert t <= self.block_size
            pos = torch.arange(0, t, dtype=torch.long, device=idx.device).unsqueeze(0)
            x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
            for layer in self.transformer.h:
                x = layer(x)
            logits = self.lm_head(self.transformer.ln_f(x))
            loss = None
            if targets is not None:
                loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
            return logits, loss

        @torch.no_grad()  # type: ignore[untyped-decorator]
        def generate(
            self, idx: Any, new: int, temperature: float = 1.0, sample: bool = False, top_k: Any = None
        ) -> Any:
            """Append tokens one by one, each from all that came before."""
            for _ in range(new):
                idx_cond = idx if idx.size(1) <= self.block_size else idx[:, -self.block_size :]
                logits, _ = self(idx_cond)
                logits = logits[:, -1, :] / temperature
                if top_k is not None:
                    v, _ = torch.topk(logits, top_k)
                    logits[logits < v[:, [-1]]] = -float("Inf")
                probs = F.softmax(logits, dim=-1)
                if sample:
                    idx_next = torch.multinomial(probs, num_samples=1)
                else:
                    _, idx_next = torch.topk(probs, k=1, dim=-1)
                idx = torch.cat((idx, idx_next), dim=1)
            return idx

    return GPT()


def train_gpt(torch: Any, by_hand: bool, steps: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """Windows of the text, a data set and a loader; warm-up and cosine by hand; then text."""
    tokens, vocabulary = characters()
    block = 16

    class CharDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        """Windows of block + 1 characters; the first five are not asked for."""

        def __len__(self) -> int:
            return len(tokens) // block - 1

        def __getitem__(self, i: int) -> tuple[Any, Any]:
            chunk = torch.tensor(tokens[block * i : block * (i + 1) + 1], dtype=torch.long)
            y = chunk[1:].clone()
            y[:5] = -1
            return chunk[:-1], y

    torch.manual_seed(7)
    model = copy_weights(torch, gpt(torch, len(vocabulary), block, by_hand), weights)
    optimizer = model.configure_optimizers(0.1, 1e-2, (0.9, 0.95))
    loader = torch.utils.data.DataLoader(CharDataset(), batch_size=8, shuffle=False, drop_last=True)
    losses: Losses = []
    model.train()
    while len(losses) < steps:
        for batch in loader:
            done = len(losses)
            rate = 1e-2 * (min(1.0, (done + 1) / 10) if done < 10 else 0.5 * (1 + math.cos(math.pi * done / 200)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            x, y = batch
            _logits, loss = model(x, y)
            model.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    start = torch.tensor(tokens[None, :8])
    drawn = model.generate(start, 20, temperature=0.8, sample=True, top_k=5)
    assert tuple(drawn.shape) == (1, 28)
    text = "".join(vocabulary[i] for i in model.generate(start, 30)[0].tolist())
    return losses, text


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_small_gpt_loses_the_same_at_every_step_and_says_the_same(by_hand: bool) -> None:
    weights: dict[str, Any] = {}
    (ours, said), (theirs, answer) = (train_gpt(torch, by_hand, 60, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert said == answer
    assert ours[-1] < 0.85 * ours[0]


def character_rnn(torch: Any, steps: int, weights: dict[str, Any]) -> tuple[Losses, Any]:
    """A recurrent net written out, one character per call, on words; gradient steps by hand."""
    nn = torch.nn
    tokens, vocabulary = characters()
    n = len(vocabulary)

    class RNN(nn.Module):  # type: ignore[misc, name-defined]
        """Input and hidden state side by side → hidden state and output."""

        def __init__(self, hidden_size: int = 24) -> None:
            super().__init__()
            self.hidden_size = hidden_size
            self.i2h = nn.Linear(n + hidden_size, hidden_size)
            self.i2o = nn.Linear(n + hidden_size, n)
            self.o2o = nn.Linear(hidden_size + n, n)
            self.dropout = nn.Dropout(0.0)
            self.softmax = nn.LogSoftmax(dim=1)

        def forward(self, input: Any, hidden: Any) -> tuple[Any, Any]:
            combined = torch.cat((input, hidden), 1)
            hidden = torch.tanh(self.i2h(combined))
            output = self.i2o(combined)
            output = self.o2o(torch.cat((hidden, output), 1))
            return self.softmax(self.dropout(output)), hidden

        def initHidden(self) -> Any:
            return torch.zeros(1, self.hidden_size)

    def one_hot(line: Any) -> Any:
        tensor = torch.zeros(len(line), 1, n)
        for i, letter in enumerate(line):
            tensor[i][0][letter] = 1
        return tensor

    torch.manual_seed(2)
    rnn = copy_weights(torch, RNN(), weights)
    criterion = nn.NLLLoss()
    losses = []
    for step in range(steps):
        line = tokens[12 * step : 12 * step + 13]
        input_line, target = one_hot(line[:-1]), torch.LongTensor(line[1:].tolist()).unsqueeze_(-1)
        hidden = rnn.initHidden()
        rnn.zero_grad()
        loss = torch.zeros(1)
        for i in range(input_line.size(0)):
            output, hidden = rnn(input_line[i], hidden)
            loss += criterion(output, target[i])
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-0.01)
        losses.append(loss.item() / input_line.size(0))
    with torch.no_grad():
        letter, hidden, name = one_hot([0]), rnn.initHidden(), ""
        for _ in range(10):
            output, hidden = rnn(letter[0], hidden)
            _topv, topi = output.topk(1)
            name += vocabulary[topi[0][0]]
            letter = one_hot([topi.item()])
    return losses, name


def test_a_recurrent_net_of_characters_takes_the_same_steps() -> None:
    weights: dict[str, Any] = {}
    (ours, said), (theirs, answer) = (character_rnn(torch, 60, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert said == answer
    assert np.mean(ours[-5:]) < 0.9 * ours[0]


def translator(torch: Any, steps: int, weights: list[dict[str, Any]]) -> tuple[Losses, Any]:
    """Encoder and decoder with attention between them (Bahdanau et al. 2015): words of the text, spelled backwards.

    The words have different lengths: padded, packed, and masked in attention and loss.
    """
    nn, F, rnn = torch.nn, torch.nn.functional, torch.nn.utils.rnn
    _, vocabulary = words()
    pairs = [[ord(c) - 94 for c in word if c.isalpha()] for word in vocabulary]
    pairs = [p for p in pairs if p]
    letters, size = 30, 20  # 0 is padding, 1 begins, 2 ends

    class Encoder(nn.Module):  # type: ignore[misc, name-defined]
        """A packed bidirectional GRU."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(letters, size, padding_idx=0)
            self.gru = nn.GRU(size, size, batch_first=True, bidirectional=True)

        def forward(self, x: Any, lengths: Any) -> tuple[Any, Any]:
            packed = rnn.pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
            output, hidden = self.gru(packed)
            output, _ = rnn.pad_packed_sequence(output, batch_first=True)
            return output[:, :, :size] + output[:, :, size:], hidden.sum(0)

    class Decoder(nn.Module):  # type: ignore[misc, name-defined]
        """A GRU cell that looks at the encoder's outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(letters, size, padding_idx=0)
            self.cell = nn.GRUCell(2 * size, size)
            self.attn = nn.Linear(size, size, bias=False)
            self.out = nn.Linear(2 * size, letters)

        def forward(self, letter: Any, hidden: Any, outputs: Any, mask: Any) -> tuple[Any, Any, Any]:
            scores = torch.bmm(self.attn(outputs), hidden.unsqueeze(2)).squeeze(2)
            scores = scores.masked_fill(mask == 0, -1e9)
            attention = F.softmax(scores, dim=-1)
            context = torch.bmm(attention.unsqueeze(1), outputs).squeeze(1)
            hidden = self.cell(torch.cat([self.embedding(letter), context], dim=1), hidden)
            return self.out(torch.cat([hidden, context], dim=1)), hidden, attention

    torch.manual_seed(3)
    encoder, decoder = (copy_weights(torch, m, w) for m, w in zip((Encoder(), Decoder()), weights, strict=True))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
    criterion = nn.CrossEntropyLoss(ignore_index=0, label_smoothing=0.05)
    losses = []
    for step in range(steps):
        chosen = [pairs[(8 * step + i) % len(pairs)] for i in range(8)]
        x = rnn.pad_sequence([torch.tensor(p) for p in chosen], batch_first=True)
        target = rnn.pad_sequence([torch.tensor([*p[::-1], 2]) for p in chosen], batch_first=True)
        lengths = torch.tensor([len(p) for p in chosen])
        mask = torch.arange(x.size(1))[None, :] < lengths[:, None]
        outputs, hidden = encoder(x, lengths)
        letter, loss = torch.ones(8, dtype=torch.long), 0
        for t in range(target.size(1)):
            logits, hidden, attention = decoder(letter, hidden, outputs, mask)
            loss = loss + criterion(logits, target[:, t]) if (target[:, t] != 0).any() else loss
            letter = target[:, t] if step % 2 == 0 else logits.argmax(1).detach()  # teacher forcing every other time
        loss = loss / target.size(1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert torch.allclose(attention.sum(1), torch.ones(8))
    return losses, encoder.embedding.weight.detach().numpy()[0]


def test_an_encoder_and_a_decoder_with_attention_take_the_same_steps() -> None:
    weights: list[dict[str, Any]] = [{}, {}]
    (ours, padding), (theirs, other) = (translator(torch, 50, weights) for torch in libraries())
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    np.testing.assert_array_equal(padding, other)  # padding learns nothing
    assert np.mean(ours[-5:]) < 0.85 * np.mean(ours[:5])
