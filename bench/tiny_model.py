"""A Llama with random weights and a tokenizer trained on the spot: a real model of no use, made in seconds.

What it writes means nothing, but a schema is kept, prompts cost what prompts cost, and one seed gives one
text. So that constrained replies come to an end, its weights carry a bias towards the tokens that close a
string, a list or a thought.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

__all__ = ["Template", "make_model"]

Template = Literal["plain", "no_system", "none"]

_ROOT = Path(__file__).resolve().parents[1]
_SPECIAL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
_THINKING = ("<think>", "</think>")
_CLOSING = ('"', '",', '"}', '"]', "]", "}", "]}", "</think>")
_PLAIN = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
) + _PLAIN


def make_model(
    folder: Path,
    *,
    hidden: int = 192,
    layers: int = 4,
    heads: int = 3,
    context: int = 16_384,
    vocabulary: int = 3_000,
    seed: int = 0,
    template: Template = "plain",
) -> Path:
    """Write a model of about 3.5 million parameters, or of another size, into a folder, and return it.

    Args:
        folder: where config, weights and tokenizer go; made if missing.
        hidden: the width; divided by `heads` it gives the size of a head, of which vLLM knows 32, 64, 128.
        layers: how many layers.
        heads: how many attention heads, each with keys and values of its own.
        context: the most tokens of prompt and reply together.
        vocabulary: the most tokens of the tokenizer, 280 or more.
        seed: of the weights.
        template: a chat template for all roles, one that refuses the system role, or none.
    """
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(folder, vocabulary, template)
    config = transformers.LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        bos_token_id=tokens["<|begin|>"],
        eos_token_id=tokens["<|end|>"],
        tie_word_embeddings=False,
        dtype=torch.float32,
    )
    untyped: Any = transformers
    model = untyped.LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.02, generator=generator)
        # Logits differ by about one between tokens; the first dimension is the same everywhere, and so
        # works as the bias that Llama does not have.
        embedding.normal_(0, 0.3, generator=generator)
        head.normal_(0, 1 / math.sqrt(hidden), generator=generator)
        embedding[:, 0] = 1.0
        head[:, 0] = 0.0
        normed = 1 / math.sqrt((1 + 0.09 * hidden) / hidden)
        for token in _CLOSING:
            if token in tokens:
                head[tokens[token], 0] = math.log(0.04 * len(tokens)) / normed
    model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path, vocabulary: int, template: Template) -> dict[str, int]:
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(_THINKING),
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in _THINKING])
    begin, end = _SPECIAL[:2]
    untyped: Any = transformers
    fast = untyped.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, pad_token=end
    )
    if template != "none":
        fast.chat_template = _PLAIN if template == "plain" else _NO_SYSTEM
    fast.save_pretrained(folder)
    return dict(tokenizer.get_vocab())


def _texts() -> Iterator[str]:
    """Yield the project's own texts, in one order everywhere."""
    for pattern in ("agents/**/*.md", "personas/**/*.yaml", "scenarios/*.yaml", "docs/*.md"):
        for path in sorted(_ROOT.glob(pattern)):
            yield path.read_text(encoding="utf-8")
    for length in range(2, 5):
        yield from ('"},', '"]', '":"', '","', '":[', '{"', "[{") * length
