"""A text with something to learn: words by Zipf's law, most of them foretold by the word before; and its tokenizer."""
import collections
import itertools
import random

Text = collections.namedtuple("Text", "consonants vowels words frequent train held_out vocabulary")


def syllables_of(kind):
    return [consonant + vowel for consonant in kind.consonants for vowel in kind.vowels]


def words_of(kind):
    syllables = syllables_of(kind)
    two = [first + second for first in syllables for second in syllables]
    three = (word + last for last in syllables for word in two)
    words = two + list(itertools.islice(three, max(0, kind.words - len(two))))
    random.Random(1).shuffle(words)
    return words


def sentences(kind, words, count, seed):
    """Documents of 200 words."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    drawn = chance.choices(range(len(words)), cum_weights=weights, k=count)
    last = 0
    for begin in range(0, count, 200):
        document = []
        for word in drawn[begin:begin + 200]:
            x = chance.random()
            last = (last * 31 + int(5 * x) * 17) % kind.frequent if x < 0.6 else word
            document.append(words[last])
        yield " " + " ".join(document)


def tokenizer_of(kind, words):
    """A byte-level BPE in which each word, with the blank before it, is one token."""
    letters, others = [], 0
    for byte in range(256):  # as GPT-2 writes bytes
        itself = 32 < byte < 127 or (160 < byte and byte != 173)
        letters.append(chr(byte if itself else 256 + others))
        others += not itself
    blank = letters[32]
    syllables = syllables_of(kind)
    # The order is the rank: syllables first, then words from their beginning.
    merges = [(syllable[0], syllable[1]) for syllable in syllables]
    merges += [(blank, syllable) for syllable in syllables]
    merges += [(blank + word[:-2], word[-2:]) for word in sorted(words, key=lambda word: (len(word), word))]
    tokens = letters + [first + second for first, second in merges]
    end = "<|endoftext|>"
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    added = {"id": len(tokens), "content": end, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added],
            "normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level, "post_processor": byte_level,
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False,
                      "vocab": {token: id for id, token in enumerate(tokens + [end])},
                      "merges": [first + " " + second for first, second in merges]}}
