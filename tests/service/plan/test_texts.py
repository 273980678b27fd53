"""Texts as numbers, against counts by hand, a plain second implementation, and scikit-learn where it does the same."""

import math
import time
import unicodedata
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from service.plan import texts as module
from service.plan.texts import Grams, Numbers, Vocabulary, unlearned, words_of

TEXTS = st.text(st.sampled_from("aAbBñÉßİ\u0661हि\u0301ﬁ -_.,\n\t!7\u200d❤\ufe0f的好"), max_size=30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP, 24/7!", ["don", "t", "stop", "24", "7"]),
        ("É é E\u0301 ﬁn STRASSE Straße", ["é", "é", "é", "fin", "strasse", "strasse"]),
        ("snake_case a.b\tc\nd\u00a0e", ["snake", "case", "a", "b", "c", "d", "e"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("很好 好", ["很好", "好"]),
        ("❤️ … \u0301 _", []),
        ("\x00never seen\ud800", ["never", "seen"]),
        ("", []),
    ],
)
def test_a_text_is_cut_where_no_letter_digit_or_mark_of_one_is(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(st.sampled_from("aI\u0131İßŉΐΰΫΪέΈ\u0301\u0308\u0327\u0344\u0358ﬃ한"), max_size=12))
def test_all_spellings_of_a_text_have_the_same_words(text: str) -> None:
    spelled = words_of("x" + text)

    composed = [unicodedata.normalize(form, "x" + text) for form in ("NFC", "NFD", "NFKC", "NFKD")]

    assert [words_of(spelling) for spelling in composed] == [spelled] * 4
    assert words_of(" ".join(spelled)) == spelled
    assert [words_of(spelling.casefold()) for spelling in composed] == [spelled] * 4
    assert "\u0131" in text or [words_of(spelling.upper()) for spelling in composed] == [spelled] * 4


def test_a_letter_counts_with_its_first_marks_alone_so_that_no_text_takes_the_square_of_its_length() -> None:
    marked = "a" + "\u0301\u0316" * 100_000

    started = time.process_time()
    (word,) = words_of(marked)

    assert time.process_time() - started < 2
    assert word == words_of("a" + "\u0301\u0316" * 15)[0]
    assert words_of("a" + "\u0301\u0316" * 14) != [word]


def test_a_text_becomes_the_weights_of_the_terms_that_most_training_texts_have() -> None:
    learned = unlearned("note", {"words": (1, 2)}, 3, 2).learned(["good good day", "Good day!", "bad", None])

    numbers = Numbers(learned)

    assert learned.features == ("note: no words", 'note: words "day"', 'note: words "good"', 'note: words "good day"')
    weight = 1 + math.log(5 / 3)
    assert learned.grams[0].weights == (weight,) * 3
    assert numbers.of("good, good DAY and more") == pytest.approx({1: 1 / 6**0.5, 2: 2 / 6**0.5, 3: 1 / 6**0.5})
    assert numbers.of("unseen") == {}
    assert numbers.of(None) == numbers.of("") == numbers.of(" … ") == {0: 1.0}


def test_characters_lie_inside_of_a_word_with_a_space_at_either_end() -> None:
    learned = unlearned("note", {"characters": (2, 3)}, 100, 1).learned(["ab c"])

    assert sorted(learned.grams[0].terms) == [" a", " ab", " c", " c ", "ab", "ab ", "b ", "c "]


@given(st.lists(st.none() | TEXTS, max_size=8), st.lists(st.none() | TEXTS, max_size=4), st.integers(1, 3))
def test_it_is_what_a_plain_count_of_all_terms_gives(
    train: list[str | None], asked: list[str | None], rows: int
) -> None:
    learned = unlearned("x", {"words": (1, 3), "characters": (1, 4)}, 7, rows).learned(train)

    block = np.empty((len(asked), len(learned.features)), np.float32)
    Numbers(learned).write(block, asked)

    for row, text in zip(block, asked, strict=True):
        expected = [0.0 if plain_words(text) else 1.0]
        for kind, (least, most) in {"words": (1, 3), "characters": (1, 4)}.items():
            seen = Counter(term for other in train for term in set(plain_terms(other, kind, least, most)))
            kept = sorted((t for t in seen if seen[t] >= rows), key=lambda term: (-seen[term], term))[:7]
            found = plain_terms(text, kind, least, most)
            weights = [found.count(t) * (1 + math.log((1 + len(train)) / (1 + seen[t]))) for t in kept]
            length = math.sqrt(math.fsum(weight**2 for weight in weights)) or 1.0
            expected += [weight / length for weight in weights]
        assert row.tolist() == np.array(expected, np.float32).tolist()


def plain_words(text: str | None) -> list[str]:
    """The words, character by character."""
    words = [""]
    for letter in unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text or "").casefold()):
        is_mark = unicodedata.category(letter)[0] == "M"
        if letter.isalnum() or (is_mark and words[-1]):
            words[-1] += letter
        elif not is_mark:
            words.append("")
    return [word for word in words if word]


def plain_terms(text: str | None, kind: str, least: int, most: int) -> list[str]:
    """The n-grams: every run of parts that is neither too short nor too long."""
    words = plain_words(text)
    runs = [words] if kind == "words" else [list(f" {word} ") for word in words]
    joined = " " if kind == "words" else ""
    return [
        joined.join(run[start:end])
        for run in runs
        for start in range(len(run))
        for end in range(start + 1, len(run) + 1)
        if least <= end - start <= most
    ]


def test_words_weigh_as_in_scikit_learn_where_its_words_are_the_same() -> None:
    train = ["the cat sat", "the dog sat on the cat", "no pets", "on and on"]
    reference = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[a-z]+").fit(train)

    learned = unlearned("x", {"words": (1, 2)}, 2000, 1).learned(train)
    block = np.empty((2, len(learned.features)), np.float32)
    Numbers(learned).write(block, asked := ["The cat sat on no dog", "the the pets"])

    places = [reference.vocabulary_[term] for term in learned.grams[0].terms]
    assert block[:, 1:] == pytest.approx(reference.transform(asked).toarray()[:, places], rel=1e-6)


def test_what_is_learned_does_not_depend_on_the_order_of_the_rows_and_travels_as_json() -> None:
    train = ["b a", "a c", "c b", "d"]
    vocabulary = unlearned("x", {"words": (1, 1)}, 3, 1)

    learned = vocabulary.learned(train)

    assert learned == vocabulary.learned(train[::-1]) == learned.learned(train)
    assert learned.grams[0].terms == ("a", "b", "c")
    assert msgspec.json.decode(msgspec.json.encode(learned), type=Vocabulary) == learned


def test_words_without_their_weights_are_refused() -> None:
    grams = {"kind": "words", "shortest": 1, "longest": 1, "terms": ["a"]}

    with pytest.raises(msgspec.ValidationError, match="1 words have 0 weights"):
        msgspec.convert(grams, Grams)


def test_frequent_terms_are_found_where_there_are_more_than_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COUNTED", 50)
    train = [f"often word{number} rare{number}" for number in range(500)]

    learned = unlearned("x", {"words": (1, 1)}, 1, 2).learned(train)

    assert learned.grams[0].terms == ("often",)
