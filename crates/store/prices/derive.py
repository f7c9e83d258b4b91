#!/usr/bin/env python3
"""Derives models.tsv, the list of public prices that Sluice is built with.

    python3 crates/store/prices/derive.py path/to/source.tsv > crates/store/prices/models.tsv

In: a table of public list prices, one row per model and seller, with a header line (`provider`, `model`, `mode`, `input`,
`output`, …; dollars per million tokens). Out: the list, on standard output; what was left out and why, on standard error.
The same input gives the same bytes. It never guesses a price: the one thing that it works out is a cache write of a long
prompt, see `long_cells`.

Which rows are kept:
 1. What the four dialects can serve: chat, responses, completion, embedding, moderation.
 2. Sellers that Sluice has a provider row for, and makers with an API in one of the dialects (a `custom` channel).
 3. One row per name, as a caller names the model at that seller. A maker's own price goes before a reseller's, and
    resellers go in the order of RESELLERS. `vendor/model` at a reseller has the maker's price if the maker lists it.
 4. A reseller's row has to name its page and must not be retired. A maker's retired models stay: their names live on in
    model maps and at other hosts, where their last price is still the best one known.
Which cells are kept: those that say something. Without a cell a part costs what the whole costs (see src/price.rs), so a
cell that says just that is left out; what is then dearer for long prompts is so for the part, too.
"""

import csv
import re
import sys
from collections import Counter
from decimal import Decimal
from typing import NamedTuple

TODAY = "2026-11-01"
MODES = {"chat", "responses", "completion", "embedding", "moderation"}
MOST_USD = Decimal(10_000)  # per million tokens; src/price_list.rs refuses what is above
DECIMALS = 9  # of a dollar: a nanodollar


class Seller(NamedTuple):
    tag: str  # the source's name of the seller
    provider: str  # ours
    prefix: str  # what the source puts before the seller's own name of a model
    names: str  # which of the names that are then left are meant, as a regular expression


# Names of a maker's own: no slash (a reseller's region or vendor) and no @ (a pinned version of another cloud).
PLAIN = r"[^/@]+"

MAKERS = [
    Seller("openai", "openai", "", PLAIN),
    Seller("text-completion-openai", "openai", "", PLAIN),
    Seller("anthropic", "anthropic", "", PLAIN),
    Seller("gemini", "gemini", "gemini/", PLAIN),
    Seller("xai", "xai", "xai/", PLAIN),
    Seller("deepseek", "deepseek", "deepseek/", PLAIN),
    Seller("mistral", "mistral", "mistral/", rf"(?!(zai-)?glm){PLAIN}"),
    Seller("moonshot", "moonshot", "moonshot/", PLAIN),
    Seller("zai", "zhipu", "zai/", PLAIN),
    Seller("dashscope", "qwen", "dashscope/", rf"(qwen|qwq){PLAIN}"),
    Seller("volcengine", "doubao", "volcengine/", rf"doubao-{PLAIN}"),
    Seller("minimax", "minimax", "minimax/", PLAIN),
    Seller("perplexity", "perplexity", "perplexity/", r"(sonar(-pro|-deep-research|-reasoning|-reasoning-pro)?|pplx-embed-.+)"),
    # Makers without a row in Sluice's table: any `custom` channel.
    Seller("cohere", "cohere", "cohere/", rf"embed-{PLAIN}"),
    Seller("cohere_chat", "cohere", "", PLAIN),
    Seller("voyage", "voyage", "voyage/", PLAIN),
    Seller("ai21", "ai21", "", rf"jamba-{PLAIN}"),
    Seller("meta", "meta", "meta/", PLAIN),
    Seller("amazon_nova", "amazon", "amazon-nova/", PLAIN),
    Seller("xiaomi_mimo", "xiaomi", "xiaomi_mimo/", PLAIN),
    Seller("inception", "inception", "inception/", PLAIN),
    Seller("morph", "morph", "morph/", PLAIN),
    Seller("v0", "v0", "v0/", PLAIN),
]

RESELLERS = [
    Seller("groq", "groq", "groq/", r".+"),
    Seller("cerebras", "cerebras", "cerebras/", r".+"),
    Seller("together_ai", "together", "together_ai/", r".+/.+"),
    # Short names are the source's own; Fireworks takes full ones.
    Seller("fireworks_ai", "fireworks", "fireworks_ai/", r"accounts/.+"),
    Seller("perplexity", "perplexity", "perplexity/", r".+/.+"),
    Seller("dashscope", "qwen", "dashscope/", PLAIN),
    Seller("mistral", "mistral", "mistral/", PLAIN),
    # With a slash they are regions, at prices of their own, and no names that a caller uses.
    Seller("azure", "azure", "azure/", PLAIN),
    Seller("azure_text", "azure", "azure/", PLAIN),
    Seller("azure_ai", "azure", "azure_ai/", PLAIN),
]

# Vendors as resellers write them, and the makers that they are.
VENDORS = {"openai": "openai", "anthropic": "anthropic", "google": "gemini", "xai": "xai"}

# Free where it is sold. Any other row without a price is one that the source does not know, or a free trial: with it a
# caller who pays would pay nothing.
FREE = {
    "omni-moderation-2024-09-26",
    "omni-moderation-latest",
    "glm-4.5-flash",
    "glm-4.7-flash",
}

# Rows that are wrong in the source.
WRONG = {
    ("cohere", "embed-multilingual-light-v3.0"): "a thousand times the price of its siblings",
    ("azure_ai", "jais-30b-chat"): "a thousand times its price: that of a thousand tokens taken for one",
    ("azure", "ada"): "stands for text-embedding-ada-002; by this name it is another model",
}

# Column of the list, column of the source, and the column whose price holds without it.
PARTS = [
    ("input", "input", None),
    ("output", "output", None),
    ("cache_read", "cache_read", "input"),
    ("cache_write", "cache_write", "input"),
    ("cache_write_1h", "cache_write_1h", "cache_write"),
    ("reasoning", "reasoning_output", "output"),
    ("audio_input", "audio_input", "input"),
    ("audio_output", "audio_output", "output"),
    ("image_input", "image_token_input", "input"),
    ("image_output", "image_token_output", "output"),
]
LONG = ["long_above", "long_input", "long_output", "long_cache_read", "long_cache_write", "long_cache_write_1h"]
# Tokens, beside the prices: how much a model reads, and writes at most.
SIZES = [("context", "context_tokens"), ("max_output", "max_output_tokens")]
COLUMNS = ["model", "provider", *(size for size, _ in SIZES), *(part for part, _, _ in PARTS), *LONG]

HEADER = """\
# Public list prices of models, November 2026. Written by derive.py beside it; change that, not this.
#
# US dollars per million tokens. An empty cell: the part costs what the whole costs (a cache read as input, reasoning as
# output, …). From a prompt of more than long_above tokens on, the long_ prices hold for the whole request.
# context, max_output: tokens that the model reads, and that it writes at most; an empty cell says nothing.
# provider: whose price it is. Makers go before resellers; a provider that is not in Sluice's table is reached by `custom`.
#
# The facts (who asks how much for what) are those of the model map of LiteLLM 1.106.2 (MIT licence), as published in
# November 2026. Selection, names and form are Sluice's. A price of the operator's own goes before these, and a
# provider's own page before both: prices change, and some here may be out of date.
"""


class Drop(Exception):
    """Why a row is left out."""


def price(row, column):
    """A price as an exact decimal, or None."""
    text = row[column]
    if not text:
        return None
    value = Decimal(text)
    if not 0 <= value <= MOST_USD:
        raise Drop("price that is negative or above the bound")
    if value.normalize().as_tuple().exponent < -DECIMALS:
        raise Drop("price finer than a nanodollar")
    return value


def tokens(text):
    """`200k` as 200000."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def sizes(row):
    """How much a model reads and writes at most, where the source says so."""
    found = {size: tokens(row[column]) if row[column] else None for size, column in SIZES}
    if row["mode"] in ("embedding", "moderation"):
        found["max_output"] = None  # they write nothing: what the source has there is a vector's length
    return found


def cells(row, name):
    """The cells of one row of the list, or Drop."""
    found = {part: price(row, column) for part, column, _ in PARTS}
    embeds = row["mode"] == "embedding"
    if embeds and found["output"] is None:
        found["output"] = Decimal(0)  # what has no output costs nothing for it
    if found["input"] is None or found["output"] is None:
        raise Drop("without a price for input or for output")
    if not found["input"] and name not in FREE:
        raise Drop("input that costs nothing")
    if found["input"] and not found["output"] and not embeds:
        raise Drop("output that costs nothing")
    # Written tokens are input, too. A write that is cheaper is the price of the surcharge or of the storage.
    if found["cache_write"] is not None and found["cache_write"] < found["input"]:
        found["cache_write"] = None
    long = long_cells(row, found)
    for part, _, whole in reversed(PARTS):
        fallback = found[whole] if whole else None
        if whole == "cache_write" and fallback is None:
            fallback = found["input"]
        if whole and found[part] == fallback:
            found[part] = None
    return sizes(row) | found | long


def long_cells(row, base):
    """What a long prompt costs. The source says nothing of cache writes: they are as many times the input as usual."""
    if not row["long_context_above"] or not price(row, "long_input"):
        return {}
    long = {column: price(row, column) for column in ("long_input", "long_output", "long_cache_read")}
    for part in ("cache_write", "cache_write_1h"):
        if base[part]:
            long["long_" + part] = base[part] * long["long_input"] / base["input"]
    return long | {"long_above": tokens(row["long_context_above"])}


def derive(rows):
    """The list by name, and how many rows were left out for which reason."""
    listed, dropped, owner = {}, Counter(), {}
    by_tag = {}
    for row in rows:
        by_tag.setdefault(row["provider"], []).append(row)
    taken = set()
    for seller, resells in [(maker, False) for maker in MAKERS] + [(reseller, True) for reseller in RESELLERS]:
        for row in by_tag.get(seller.tag, []):
            name = row["model"].removeprefix(seller.prefix)
            if row["mode"] not in MODES or id(row) in taken or not re.fullmatch(seller.names, name):
                continue
            taken.add(id(row))
            try:
                if (seller.tag, name) in WRONG:
                    raise Drop("wrong in the source")
                if resells and not row["source"]:
                    raise Drop("a reseller's, without a page that says so")
                if resells and "" < row["deprecation_date"] < TODAY:
                    raise Drop("a reseller's, retired")
                found = cells(row, name)
                if name in listed:
                    raise Drop("sold by somebody before it in order")
            except Drop as reason:
                dropped[str(reason)] += 1
                continue
            vendor, _, model = name.partition("/")
            maker = VENDORS.get(vendor)
            if maker and owner.get(model) == maker:
                listed[name] = listed[model]
                continue
            listed[name] = {"provider": seller.provider, **found}
            if not resells:
                owner[name] = seller.provider
    for row in rows:
        if row["mode"] not in MODES:
            dropped["another mode"] += 1
        elif id(row) not in taken:
            dropped["another seller, or no name that callers use"] += 1
    return listed, dropped


def written(value):
    """A cell: `2.5`, never `2.50` or `2.5E0`."""
    if value is None:
        return ""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE))
    listed, dropped = derive(rows)
    sys.stdout.write(HEADER)
    print("\t".join(COLUMNS))
    for name in sorted(listed, key=lambda name: name.encode()):
        row = {"model": name, **listed[name]}
        print("\t".join(written(row.get(column)) for column in COLUMNS).rstrip("\t"))
    print(f"{len(rows)} rows in, {len(listed)} out", file=sys.stderr)
    for reason, count in dropped.most_common():
        print(f"{count:6} {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
